//! What Musubi relies on in Kafka, a probe for each sentence: run against the test broker in this process, or, with the
//! same code, against the cluster that `KAFKA_BOOTSTRAP` names. Both must pass, or the test broker is no Kafka.

mod cluster;
mod faults;
mod groups;
mod reading;
mod topics;
mod transactions;
mod wire;
