//! What the stories share: a cluster to run against, and touchpoints to feed it.

pub mod cluster;
pub mod processes;
