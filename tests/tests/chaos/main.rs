//! Failures over the wire: processes of `musubi stitch` on a cluster, and what may happen to them. After each the six
//! oracles are asked (`musubi_tests::oracles`), and the fingerprint is that of `musubi run` over the same touchpoints.
//!
//! On the test broker in this process, or on the cluster in `KAFKA_BOOTSTRAP`. How much is done is said by variables,
//! each with the small dose of every commit; `tests/chaos` sets them by flags. `MUSUBI_SEED` decides what is left to
//! chance.

mod broker;
mod disk;
mod kills;
mod matrix;
mod moves;
mod poison;
mod stale;
mod zombies;
