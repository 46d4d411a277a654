//! Connections: frames in, answers out, in order; and the port that takes faults as lines of text.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiKey, ProduceRequest, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, decode_request_header_from_buffer};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::faults::Faults;
use crate::node::{Node, lock};
use crate::{admin, cluster, fetch, housekeeping, members, positions, produce, transactions, writers};

/// Kafka's `socket.request.max.bytes`.
const MAX_FRAME: usize = 100 << 20;
/// Room for small requests in one read.
const READ: usize = 64 << 10;
/// How often timeouts are looked for.
const TICK: Duration = Duration::from_millis(20);

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("the peer is gone: {0}")]
    Gone(#[from] std::io::Error),
    #[error("wanted a request of Kafka's protocol, found {0}")]
    Malformed(String),
    #[error("the answer is lost, as a fault wants it")]
    Lost,
}

fn malformed(error: impl std::fmt::Display) -> Closed {
    Closed::Malformed(error.to_string())
}

/// Takes connections until the runtime ends.
pub(crate) async fn accept(node: Arc<Node>, listener: TcpListener) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else { continue };
        if lock(&node.plan).is_down() {
            continue;
        }
        let node = Arc::clone(&node);
        tokio::spawn(async move {
            let mut life = node.life.subscribe();
            tokio::select! {
                _ = life.changed() => tracing::debug!(%peer, "a connection is cut"),
                Err(reason) = converse(&node, stream, peer) => tracing::debug!(%peer, %reason, "a connection ended"),
            }
        });
    }
}

/// Looks for what is late, for ever.
pub(crate) async fn keep_time(node: Arc<Node>) {
    let (mut synced, mut cleaned) = (Instant::now(), Instant::now());
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        transactions::tick(&node);
        lock(&node.groups).tick(&node);
        let due = |since: Instant, every: Option<Duration>| every.is_some_and(|every| since.elapsed() >= every);
        if due(synced, node.settings.sync_every) && !lock(&node.plan).syncs_held() {
            node.sync();
            synced = Instant::now();
        }
        if due(cleaned, node.settings.housekeeping_every) {
            housekeeping::tick(&node);
            cleaned = Instant::now();
        }
    }
}

/// Takes faults, a line each, and answers `ok` or `error: …`.
pub(crate) async fn take_faults(faults: Faults, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let faults = faults.clone();
        tokio::spawn(async move {
            let (lines, mut answers) = stream.into_split();
            let mut lines = BufReader::new(lines).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let answer =
                    faults.command(&line).map_or_else(|error| format!("error: {error}\n"), |()| "ok\n".to_owned());
                if answers.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn converse(node: &Arc<Node>, mut stream: TcpStream, peer: SocketAddr) -> Result<(), Closed> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(READ);
    let connection =
        Connection { node: Arc::clone(node), bell: Arc::new(Notify::new()), host: format!("/{}", peer.ip()) };
    loop {
        let frame = next_frame(&mut stream, &mut buffer).await?;
        if let Some(answer) = connection.answer(frame).await? {
            stream.write_all(&answer).await?;
        }
    }
}

async fn next_frame(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<Bytes, Closed> {
    loop {
        let whole = match buffer.get(..4) {
            None => READ,
            Some(mut length) => match usize::try_from(length.get_i32()) {
                Ok(length) if length <= MAX_FRAME => length + 4,
                _ => return Err(malformed("an impossible length")),
            },
        };
        if buffer.len() >= 4 && buffer.len() >= whole {
            let mut frame = buffer.split_to(whole).freeze();
            frame.advance(4);
            return Ok(frame);
        }
        if buffer.capacity() < whole || buffer.capacity() == buffer.len() {
            buffer.reserve(whole.max(READ) - buffer.len());
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(malformed("its end"));
        }
    }
}

fn decode<R: Decodable>(frame: &mut Bytes, version: i16) -> Result<R, Closed> {
    R::decode(frame, version).map_err(malformed)
}

fn encode<R: Encodable + HeaderVersion>(answer: &R, version: i16, correlation: i32) -> Result<BytesMut, Closed> {
    let header = ResponseHeader::default().with_correlation_id(correlation);
    let size = answer.compute_size(version).map_err(malformed)?;
    let mut bytes = BytesMut::with_capacity(size + 16);
    bytes.put_i32(0);
    header.encode(&mut bytes, R::header_version(version)).map_err(malformed)?;
    answer.encode(&mut bytes, version).map_err(malformed)?;
    let length = i32::try_from(bytes.len() - 4).map_err(malformed)?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

/// One client's connection.
struct Connection {
    node: Arc<Node>,
    /// Rings when what a waiting fetch looks at has changed.
    bell: Arc<Notify>,
    host: String,
}

impl Connection {
    /// Carries out a request. Nothing is answered to a producer that wants no acknowledgement.
    async fn answer(&self, mut frame: Bytes) -> Result<Option<BytesMut>, Closed> {
        if frame.len() < 8 {
            return Err(malformed("a frame without a header"));
        }
        let header = decode_request_header_from_buffer(&mut frame).map_err(malformed)?;
        let api = ApiKey::try_from(header.request_api_key).map_err(|()| malformed("an unknown request"))?;
        let (version, id) = (header.request_api_version, header.correlation_id);
        if !cluster::serves(api, version) {
            return match api {
                ApiKey::ApiVersions => {
                    encode(&cluster::versions(Some(ResponseError::UnsupportedVersion)), 0, id).map(Some)
                }
                _ => Err(Closed::Malformed(format!("{api:?} in version {version}"))),
            };
        }
        let (refused, lost) = {
            let mut plan = lock(&self.node.plan);
            (plan.refusal(api), plan.loses_answer(api))
        };
        let client = header.client_id.as_deref().unwrap_or_default();
        let answer = self.serve(api, version, id, client, frame, refused).await?;
        if lost { Err(Closed::Lost) } else { Ok(answer) }
    }

    async fn serve(
        &self,
        api: ApiKey,
        version: i16,
        id: i32,
        client: &str,
        mut frame: Bytes,
        refused: Option<ResponseError>,
    ) -> Result<Option<BytesMut>, Closed> {
        let node = &self.node;
        let frame = &mut frame;
        /// Reads the request, has it answered and writes the answer.
        macro_rules! served {
            ($answer:expr) => {{
                let request = decode(frame, version)?;
                #[allow(clippy::redundant_closure_call)]
                let answer = $answer(request);
                encode(&answer, version, id)
            }};
        }
        let answer = match api {
            ApiKey::Produce => {
                let request: ProduceRequest = decode(frame, version)?;
                let silent = request.acks == 0;
                let answer = produce::produce(node, request, refused);
                return if silent { Ok(None) } else { encode(&answer, version, id).map(Some) };
            }
            ApiKey::Fetch => {
                let delay = lock(&node.plan).fetch_delay();
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                encode(&fetch::fetch(node, version, decode(frame, version)?, refused, &self.bell).await, version, id)
            }
            ApiKey::JoinGroup => {
                let request = decode(frame, version)?;
                encode(&members::join(node, version, client, &self.host, request, refused).await, version, id)
            }
            ApiKey::SyncGroup => encode(&members::sync(node, decode(frame, version)?, refused).await, version, id),
            ApiKey::EndTxn => {
                encode(&writers::finish(node, version, decode(frame, version)?, refused).await, version, id)
            }
            ApiKey::ApiVersions => encode(&cluster::versions(refused), version, id),
            ApiKey::Metadata => served!(|request| cluster::metadata(node, version, request, refused)),
            ApiKey::DescribeCluster => encode(&cluster::describe_cluster(node), version, id),
            ApiKey::FindCoordinator => served!(|request| cluster::coordinator(node, version, request, refused)),
            ApiKey::ListOffsets => served!(|request| fetch::list_offsets(node, version, request, refused)),
            ApiKey::OffsetForLeaderEpoch => served!(|request| fetch::epoch_ends(node, request, refused)),
            ApiKey::OffsetCommit => served!(|request| positions::commit(node, request, refused)),
            ApiKey::OffsetFetch => served!(|request| positions::fetch(node, version, request, refused)),
            ApiKey::TxnOffsetCommit => served!(|request| positions::commit_in_transaction(node, request, refused)),
            ApiKey::Heartbeat => served!(|request| members::heartbeat(node, &request, refused)),
            ApiKey::LeaveGroup => served!(|request| members::leave(node, version, request, refused)),
            ApiKey::DescribeGroups => served!(|request| members::describe(node, request, refused)),
            ApiKey::ListGroups => served!(|request| members::list(node, &request, refused)),
            ApiKey::DeleteGroups => served!(|request| members::delete(node, request, refused)),
            ApiKey::InitProducerId => served!(|request| writers::init(node, version, &request, refused)),
            ApiKey::AddPartitionsToTxn => served!(|request| writers::partitions(node, version, request, refused)),
            ApiKey::AddOffsetsToTxn => served!(|request| writers::offsets(node, version, &request, refused)),
            ApiKey::DescribeTransactions => served!(|request| writers::describe(node, request)),
            ApiKey::ListTransactions => served!(|request| writers::list(node, &request)),
            ApiKey::CreateTopics => served!(|request| admin::create(node, request, refused)),
            ApiKey::CreatePartitions => served!(|request| admin::grow(node, request, refused)),
            ApiKey::DeleteTopics => served!(|request| admin::delete(node, request, refused)),
            ApiKey::DeleteRecords => served!(|request| admin::delete_records(node, request, refused)),
            ApiKey::DescribeConfigs => served!(|request| admin::describe_configs(node, request, refused)),
            ApiKey::IncrementalAlterConfigs => served!(|request| admin::alter_configs(node, request, refused)),
            ApiKey::AlterConfigs => served!(|request| admin::put_configs(node, request, refused)),
            other => return Err(Closed::Malformed(format!("{other:?}"))),
        };
        answer.map(Some)
    }
}
