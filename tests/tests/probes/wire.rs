//! Requests that no client sends by itself, written on the wire: batches twice, sequences with gaps, versions unknown.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, InitProducerIdRequest, InitProducerIdResponse, ProduceRequest,
    ProduceResponse, RequestHeader, ResponseHeader, TopicName, TransactionalId,
};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes, encode_request_header_into_buffer};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};

use crate::cluster::{Cluster, PATIENCE, Seeing, until};

/// A connection on which requests are written by hand.
struct Wire(TcpStream);

impl Wire {
    fn to(cluster: &Cluster) -> Self {
        let first = cluster.bootstrap.split(',').next().expect("a server");
        let stream = TcpStream::connect(first).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self(stream)
    }

    /// The body of the answer, in whatever version it is.
    fn send(&mut self, api: ApiKey, version: i16, body: &[u8]) -> Bytes {
        let header = RequestHeader::default()
            .with_request_api_key(api as i16)
            .with_request_api_version(version)
            .with_correlation_id(7)
            .with_client_id(Some(StrBytes::from_static_str("probe")));
        let mut bytes = BytesMut::new();
        bytes.put_i32(0);
        encode_request_header_into_buffer(&mut bytes, &header).expect("a header");
        bytes.put_slice(body);
        let length = i32::try_from(bytes.len() - 4).expect("a small request");
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        self.0.write_all(&bytes).expect("the request goes out");
        let mut length = [0; 4];
        self.0.read_exact(&mut length).expect("an answer");
        let mut answer = vec![0; usize::try_from((&length[..]).get_i32()).expect("a length")];
        self.0.read_exact(&mut answer).expect("the whole answer");
        Bytes::from(answer)
    }

    fn ask<R: Request>(&mut self, api: ApiKey, version: i16, request: &R) -> R::Response {
        let mut body = BytesMut::new();
        request.encode(&mut body, version).expect("a request");
        let mut answer = self.send(api, version, &body);
        let header = ResponseHeader::decode(&mut answer, api.response_header_version(version)).expect("a header");
        assert_eq!(header.correlation_id, 7);
        R::Response::decode(&mut answer, version).expect("an answer")
    }

    fn init(&mut self, id: Option<&str>) -> InitProducerIdResponse {
        let id = id.map(|id| TransactionalId(StrBytes::from_string(id.to_owned())));
        let request = InitProducerIdRequest::default().with_transactional_id(id).with_transaction_timeout_ms(10_000);
        until("the coordinator is there", || {
            let answer = self.ask(ApiKey::InitProducerId, 2, &request);
            let loading = ResponseError::try_from_code(answer.error_code).is_some_and(|error| error.is_retriable());
            (!loading && answer.error_code != ResponseError::ConcurrentTransactions.code()).then_some(answer)
        })
    }

    /// Produces these values in one batch. The error, and the offset of the first.
    fn produce(&mut self, topic: &str, batch: &Batch<'_>) -> (Option<ResponseError>, i64) {
        let data = PartitionProduceData::default().with_index(0).with_records(Some(batch.bytes()));
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        let data = TopicProduceData::default().with_name(name).with_partition_data(vec![data]);
        let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(5000).with_topic_data(vec![data]);
        let answer: ProduceResponse = self.ask(ApiKey::Produce, 7, &request);
        let answer = &answer.responses[0].partition_responses[0];
        (ResponseError::try_from_code(answer.error_code), answer.base_offset)
    }
}

/// A batch of an idempotent producer.
struct Batch<'a> {
    producer: i64,
    epoch: i16,
    sequence: i32,
    key: Option<&'a str>,
    values: &'a [&'a str],
}

impl Batch<'_> {
    fn bytes(&self) -> Bytes {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
        let record = |(nr, value): (i32, &&str)| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: self.producer,
            producer_epoch: self.epoch,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(nr),
            sequence: self.sequence + nr,
            timestamp: i64::try_from(now).expect("before 2500"),
            key: self.key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: Default::default(),
        };
        let records: Vec<_> = (0..).zip(self.values).map(record).collect();
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut bytes, &records, &options).expect("a batch");
        bytes.freeze()
    }
}

#[test]
fn a_batch_that_is_sent_again_is_answered_alike_and_not_doubled() {
    let cluster = Cluster::up();
    let topic = cluster.topic("again", 1, &[]);
    let mut wire = Wire::to(&cluster);
    let given = wire.init(None);
    let (producer, epoch) = (given.producer_id.0, given.producer_epoch);
    let batch = |sequence, values| Batch { producer, epoch, sequence, key: Some("k"), values };
    assert_eq!(wire.produce(&topic, &batch(0, &["a", "b"])), (None, 0));
    assert_eq!(wire.produce(&topic, &batch(2, &["c"])), (None, 2));
    assert_eq!(wire.produce(&topic, &batch(0, &["a", "b"])), (None, 0));
    assert_eq!(wire.produce(&topic, &batch(2, &["c"])), (None, 2));
    let (error, _) = wire.produce(&topic, &batch(5, &["after a gap"]));
    assert_eq!(error, Some(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(wire.produce(&topic, &batch(3, &["d"])), (None, 3));
    assert_eq!(cluster.values(&topic, Seeing::Committed), ["a", "b", "c", "d"]);
}

#[test]
fn a_batch_of_an_earlier_epoch_is_refused() {
    let cluster = Cluster::up();
    let topic = cluster.topic("epochs", 1, &[]);
    let mut wire = Wire::to(&cluster);
    let given = wire.init(None);
    let batch = |epoch, sequence| {
        let producer = given.producer_id.0;
        Batch { producer, epoch, sequence, key: Some("k"), values: &["v"] }
    };
    assert_eq!(wire.produce(&topic, &batch(1, 0)), (None, 0));
    assert_eq!(wire.produce(&topic, &batch(0, 0)).0, Some(ResponseError::InvalidProducerEpoch));
    assert_eq!(wire.produce(&topic, &batch(2, 1)).0, Some(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(wire.produce(&topic, &batch(2, 0)), (None, 1));
}

#[test]
fn an_id_keeps_its_producer_and_gets_a_higher_epoch_each_time() {
    let cluster = Cluster::up();
    let id = cluster.name("epochs");
    let mut wire = Wire::to(&cluster);
    let given: Vec<_> = (0..3).map(|_| wire.init(Some(&id))).collect();
    let epochs: Vec<_> = given.iter().map(|answer| (answer.producer_id.0, answer.producer_epoch)).collect();
    let producer = epochs[0].0;
    assert_eq!(epochs, [(producer, 0), (producer, 1), (producer, 2)]);
    assert_ne!(wire.init(None).producer_id.0, producer);
}

#[test]
fn a_compacted_topic_wants_keys() {
    let cluster = Cluster::up();
    let topic = cluster.topic("keys", 1, &[("cleanup.policy", "compact")]);
    let batch = |key| Batch { producer: -1, epoch: -1, sequence: -1, key, values: &["v"] };
    let mut wire = Wire::to(&cluster);
    assert_eq!(wire.produce(&topic, &batch(None)).0, Some(ResponseError::InvalidRecord));
    assert_eq!(wire.produce(&topic, &batch(Some("k"))), (None, 0));
}

#[test]
fn a_torn_batch_is_refused() {
    let cluster = Cluster::up();
    let topic = cluster.topic("torn", 1, &[]);
    let batch = Batch { producer: -1, epoch: -1, sequence: -1, key: Some("k"), values: &["whole"] };
    let mut bytes = batch.bytes().to_vec();
    *bytes.last_mut().expect("a byte") ^= 1;
    let data = PartitionProduceData::default().with_index(0).with_records(Some(bytes.into()));
    let name = TopicName(StrBytes::from_string(topic.clone()));
    let data = TopicProduceData::default().with_name(name).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(5000).with_topic_data(vec![data]);
    let answer = Wire::to(&cluster).ask(ApiKey::Produce, 7, &request);
    let error = answer.responses[0].partition_responses[0].error_code;
    assert_eq!(ResponseError::try_from_code(error), Some(ResponseError::CorruptMessage));
    assert!(cluster.values(&topic, Seeing::Everything).is_empty());
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let cluster = Cluster::up();
    let mut body = BytesMut::new();
    ApiVersionsRequest::default().encode(&mut body, 4).expect("a request");
    let mut answer = Wire::to(&cluster).send(ApiKey::ApiVersions, 99, &body);
    answer.advance(4);
    let answer = ApiVersionsResponse::decode(&mut answer, 0).expect("version 0");
    assert_eq!(ResponseError::try_from_code(answer.error_code), Some(ResponseError::UnsupportedVersion));
    let own = answer.api_keys.iter().find(|key| key.api_key == ApiKey::ApiVersions as i16).expect("itself");
    assert!(own.max_version >= 3);
}
