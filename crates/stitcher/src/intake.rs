//! From records to inputs: what a delivery is, or why it is set aside.

use std::sync::Arc;

use musubi_core::change::Position;
use musubi_core::cluster::Observation;
use musubi_core::identifier::DeploymentKey;
use musubi_core::policy::Policy;
use musubi_core::touchpoint::{EventKey, Touchpoint};
use musubi_log::{Delivery, Topic};
use musubi_schema::{MAX_LINE, Malformed, Parser, Reason, Unavailable, Writers, avro, content_digest};
use musubi_store::codec::Decode;

use crate::batch::Batch;
use crate::machine::{Input, Ruling};
use crate::message::Message;
use crate::topics::{DIRECTIVES, TOUCHPOINTS};

/// The longest record of a touchpoint or directive, in bytes: as much as the longest line, and room for its framing.
/// Whatever is made of it then fits into a record of any topic; a longer one would stop its partition for good.
pub(crate) const MOST_BYTES: usize = MAX_LINE + (64 << 10);

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

impl Refused {
    fn unreadable(detail: String) -> Self {
        Self { source: None, event_id: None, reason: "invalid-record", detail }
    }

    /// A record too long to be looked into; None for any other.
    fn too_long(bytes: &[u8]) -> Option<Self> {
        let detail = format!("wanted at most {MOST_BYTES} bytes, found {}", bytes.len());
        let reason = Reason::LineTooLong.as_str();
        (bytes.len() > MOST_BYTES).then_some(Self { source: None, event_id: None, reason, detail })
    }

    /// What could be read far enough to say what is wrong with it says that, and whose it is.
    fn of(why: avro::Error) -> Self {
        match why {
            avro::Error::Malformed(Malformed { reason, detail, source, event_id }) => {
                Self { source: source.map(Into::into), event_id: event_id.map(Into::into), reason, detail }
            }
            other => Self::unreadable(other.to_string()),
        }
    }
}

/// The schema of a topic that comes from outside; the mesh has none.
fn schema_of(topic: &Topic) -> Option<avro::Topic> {
    if *topic == TOUCHPOINTS {
        Some(avro::Topic::Touchpoints)
    } else {
        (*topic == DIRECTIVES).then_some(avro::Topic::Directives)
    }
}

/// What a record is.
#[derive(Debug)]
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
    writers: Writers,
    topics: Vec<(Topic, Arc<str>)>,
    unknown_namespaces: u64,
}

impl Reading {
    /// A reader for one policy, deployment and number of partitions.
    pub fn new(policy: Arc<Policy>, deployment: DeploymentKey, partitions: u32) -> Self {
        let (parser, writers) = (Parser::new(), Writers::default());
        Self { policy, deployment, partitions, parser, writers, topics: Vec::new(), unknown_namespaces: 0 }
    }

    /// The same reader, which also reads what was written under these schemas.
    pub fn with_writers(self, writers: Writers) -> Self {
        Self { writers, ..self }
    }

    /// Sees to it that the schemas of these records are known, before any of them is read. It may ask the network.
    ///
    /// # Errors
    /// [`Unavailable`] where that could not be found out; what a record is must not depend on it.
    pub fn prepare(&mut self, deliveries: &[Delivery]) -> Result<(), Unavailable> {
        for delivery in deliveries {
            if let Some(topic) = schema_of(&delivery.topic) {
                self.writers.learn(topic, delivery.record.value.as_deref().unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// A record that came in as JSON; none where it cannot be read.
    pub fn show(&self, delivery: &Delivery) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let bytes = delivery.record.value.as_deref().filter(|bytes| bytes.len() <= MOST_BYTES)?;
        avro::to_json_with(schema_of(&delivery.topic)?, bytes, &self.writers, &mut text).ok()?;
        Some(text)
    }

    /// The parser, for reading lines.
    pub fn parser(&mut self) -> &mut Parser {
        &mut self.parser
    }

    /// Reads a record of one of the topics that a stitcher reads.
    pub fn record(&mut self, delivery: &Delivery) -> Intake {
        let topic = self.name_of(&delivery.topic);
        let position = Position { topic, partition: delivery.partition, offset: delivery.offset };
        let bytes = delivery.record.value.as_deref().unwrap_or_default();
        let from_outside = schema_of(&delivery.topic).is_some();
        if let Some(refused) = Refused::too_long(bytes).filter(|_| from_outside) {
            Intake::Refused(refused)
        } else if delivery.topic == TOUCHPOINTS {
            match avro::decode_touchpoint(bytes, &mut self.parser, &self.writers) {
                Ok(touchpoint) => self.touchpoint(touchpoint, position),
                Err(why) => Intake::Refused(Refused::of(why)),
            }
        } else if delivery.topic == DIRECTIVES {
            match avro::decode_directive(bytes, &mut self.parser, &self.writers) {
                Ok(directive) => self.directive(&directive, position),
                Err(why) => Intake::Refused(Refused::of(why)),
            }
        } else {
            match Message::decode(&mut &bytes[..]) {
                Ok(message) => Intake::Input(delivery.partition, Input::Message(message)),
                Err(why) => Intake::Refused(Refused::unreadable(why.to_string())),
            }
        }
    }

    /// The name of a topic, once for all positions in it.
    fn name_of(&mut self, topic: &Topic) -> Arc<str> {
        let known = self.topics.iter().position(|(known, _)| known == topic).unwrap_or_else(|| {
            self.topics.push((topic.clone(), topic.as_str().into()));
            self.topics.len() - 1
        });
        Arc::clone(&self.topics[known].1)
    }

    /// Hands a touchpoint or directive to the batch. What cannot be read, or is set aside, is no evidence.
    pub fn into_batch(&mut self, delivery: &Delivery, batch: &mut Batch<'_>) {
        let bytes = delivery.record.value.as_deref().unwrap_or_default();
        if bytes.len() > MOST_BYTES {
            return;
        }
        if delivery.topic == TOUCHPOINTS {
            let _ = avro::decode_touchpoint(bytes, &mut self.parser, &self.writers)
                .map(|touchpoint| batch.touchpoint(touchpoint));
        } else if delivery.topic == DIRECTIVES {
            let _ = avro::decode_directive(bytes, &mut self.parser, &self.writers)
                .map(|directive| batch.directive(&directive));
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
