//! From records to inputs: what a delivery is, or why it is set aside.

use std::sync::Arc;

use musubi_core::change::Position;
use musubi_core::cluster::Observation;
use musubi_core::identifier::DeploymentKey;
use musubi_core::policy::Policy;
use musubi_core::touchpoint::{EventKey, Touchpoint};
use musubi_log::Delivery;
use musubi_schema::{Parser, avro, content_digest};
use musubi_store::codec::Decode;

use crate::batch::Batch;
use crate::machine::{Input, Ruling};
use crate::message::Message;
use crate::topics::{DIRECTIVES, TOUCHPOINTS};

/// Something that is set aside, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The source, where it could be read.
    pub source: Option<Arc<str>>,
    /// The event id, where it could be read.
    pub event_id: Option<Arc<str>>,
    /// The reason in one of a few words.
    pub reason: &'static str,
    /// The reason for a person to read.
    pub detail: String,
}

/// What a record is.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every record is an input: a box for each would cost more than it saves"
)]
pub enum Intake {
    /// An input, for the partition that owns what it is about.
    Input(u32, Input),
    /// Not something we can use.
    Refused(Refused),
}

/// Reads records under a policy. Pure but for the strings it remembers so that equal ones share their bytes.
pub struct Reading {
    policy: Arc<Policy>,
    deployment: DeploymentKey,
    partitions: u32,
    parser: Parser,
    unknown_namespaces: u64,
}

impl Reading {
    /// A reader for one policy, deployment and number of partitions.
    pub fn new(policy: Arc<Policy>, deployment: DeploymentKey, partitions: u32) -> Self {
        Self { policy, deployment, partitions, parser: Parser::new(), unknown_namespaces: 0 }
    }

    /// The parser, for reading lines.
    pub fn parser(&mut self) -> &mut Parser {
        &mut self.parser
    }

    /// Reads a record of one of the topics that a stitcher reads.
    pub fn record(&mut self, delivery: &Delivery) -> Intake {
        let position =
            Position { topic: delivery.topic.as_str().into(), partition: delivery.partition, offset: delivery.offset };
        let bytes = delivery.record.value.as_deref().unwrap_or_default();
        let unreadable = |why: &dyn std::fmt::Display| {
            Intake::Refused(Refused { source: None, event_id: None, reason: "invalid-record", detail: why.to_string() })
        };
        if delivery.topic == TOUCHPOINTS {
            match avro::decode_touchpoint(bytes, &mut self.parser) {
                Ok(touchpoint) => self.touchpoint(touchpoint, position),
                Err(why) => unreadable(&why),
            }
        } else if delivery.topic == DIRECTIVES {
            match avro::decode_directive(bytes, &mut self.parser) {
                Ok(directive) => self.directive(&directive, position),
                Err(why) => unreadable(&why),
            }
        } else {
            match Message::decode(&mut &bytes[..]) {
                Ok(message) => Intake::Input(delivery.partition, Input::Message(message)),
                Err(why) => unreadable(&why),
            }
        }
    }

    /// Hands a touchpoint or directive to the batch. What cannot be read, or is set aside, is no evidence.
    pub fn into_batch(&mut self, delivery: &Delivery, batch: &mut Batch<'_>) {
        let bytes = delivery.record.value.as_deref().unwrap_or_default();
        if delivery.topic == TOUCHPOINTS {
            let _ = avro::decode_touchpoint(bytes, &mut self.parser).map(|touchpoint| batch.touchpoint(touchpoint));
        } else if delivery.topic == DIRECTIVES {
            let _ = avro::decode_directive(bytes, &mut self.parser).map(|directive| batch.directive(&directive));
        }
    }

    /// How many identifiers so far were in a namespace that the policy does not name.
    pub fn unknown_namespaces(&self) -> u64 {
        self.unknown_namespaces
    }

    /// Reads a touchpoint under the policy.
    pub fn touchpoint(&mut self, touchpoint: Touchpoint, position: Position) -> Intake {
        let content = content_digest(&touchpoint);
        let (source, event_id) = (Arc::clone(&touchpoint.source), Arc::clone(&touchpoint.event_id));
        match self.policy.read(touchpoint, &self.deployment) {
            Ok(reading) => {
                self.unknown_namespaces += u64::from(reading.unknown_namespaces);
                let partition = reading.identifiers[0].owner(self.partitions);
                let event = EventKey::of(&source, &event_id);
                let observation =
                    Observation { identifiers: reading.identifiers, effect: reading.effect, event, position };
                Intake::Input(partition, Input::Touchpoint { observation, content })
            }
            Err(rejection) => Intake::Refused(Refused {
                source: Some(source),
                event_id: Some(event_id),
                reason: rejection.reason(),
                detail: String::new(),
            }),
        }
    }

    /// Reads a directive under the policy.
    pub fn directive(&self, directive: &musubi_core::directive::Directive, position: Position) -> Intake {
        match Ruling::read(directive, &self.policy, &self.deployment, position) {
            Ok(ruling) => Intake::Input(ruling.entry().owner(self.partitions), Input::Directive(ruling)),
            Err(detail) => Intake::Refused(Refused {
                source: Some(Arc::clone(&directive.source)),
                event_id: Some(Arc::clone(&directive.directive_id)),
                reason: "invalid-identifier",
                detail,
            }),
        }
    }
}
