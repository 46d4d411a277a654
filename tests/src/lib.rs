//! What the stories share: a cluster to run against, touchpoints to feed it, processes to kill, and oracles to ask.

pub mod chance;
pub mod cluster;
pub mod crew;
pub mod oracles;
pub mod processes;
