//! The member thread: it is in the group, and does nothing else.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use super::calls::Rebalance;
use super::client;
use super::group::Shared;
use crate::failpoint::failpoint;
use crate::{Error, Partition};

/// How long leaving the group may take.
const LEAVE: Duration = Duration::from_secs(15);
/// How often the thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

/// What librdkafka tells the member.
pub struct Context(pub(super) Arc<Shared>);

/// The member's client.
pub(super) type Member = BaseConsumer<Context>;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka member");
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, member: &Member, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = partitions(list);
        let done = if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            tracing::info!(?partitions, "partitions gained");
            failpoint("assign");
            assign(member, list).map(|()| self.0.hear(&Rebalance::Gained(partitions))).map(|_| ())
        } else {
            let lost = member.assignment_lost();
            tracing::info!(?partitions, lost, "partitions given up");
            failpoint("revoke");
            let word = Rebalance::Given { partitions, lost };
            let patience = self.0.hear(&word);
            if !self.0.await_release(patience) && !lost {
                tracing::warn!(?word, "a worker did not finish in time: its commit will be refused");
            }
            self.0.dismiss(&word);
            failpoint("revoked");
            member.incremental_unassign(list)
        };
        if let Err(why) = done {
            self.0.fail(&Error::broker("taking note of a rebalance", why));
        }
    }
}

/// Takes note of the assignment without reading anything: another client reads, once the state is there.
fn assign(member: &Member, list: &mut TopicPartitionList) -> Result<(), KafkaError> {
    list.set_all_offsets(Offset::End)?;
    member.incremental_assign(list)?;
    member.pause(list)
}

fn partitions(list: &TopicPartitionList) -> Vec<Partition> {
    list.elements().iter().filter_map(|element| Partition::try_from(element.partition()).ok()).collect()
}

/// Stays in the group until told to leave it.
pub(super) fn run(member: &Member, shared: &Shared) {
    while !shared.leaving.load(Ordering::Acquire) {
        match member.poll(LOOK) {
            None | Some(Ok(_)) => {}
            Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(why)) if is_final(&why) => {
                shared.fail(&Error::broker("being a member of the group", why));
                std::thread::sleep(LOOK);
            }
            Some(Err(why)) => tracing::warn!(%why, "the group"),
        }
    }
    if let Err(why) = member.close_queue() {
        tracing::warn!(%why, "leaving the group");
        return;
    }
    let deadline = Instant::now() + LEAVE;
    while !member.closed() && Instant::now() < deadline {
        drop(member.poll(LOOK));
    }
}

/// Whether the member is one no longer: another process took its name, or its rights are gone.
fn is_final(why: &KafkaError) -> bool {
    matches!(why, KafkaError::MessageConsumptionFatal(_))
        || matches!(
            why.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::Fatal
                    | RDKafkaErrorCode::FencedInstanceId
                    | RDKafkaErrorCode::GroupAuthorizationFailed
                    | RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::UnknownTopicOrPartition
            )
        )
}
