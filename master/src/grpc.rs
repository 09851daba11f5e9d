//! The gRPC server that buddies connect to. Only this module knows the generated types.
//!
//! Each stream has a task of its own on the multi-threaded runtime and a bounded channel for what
//! goes back, so that a buddy that is slow, silent or hostile costs nobody else. The tasks hold
//! addresses of actors and wait for each answer before they read on.

mod assignment;
mod control;
mod convert;
pub mod decode;
#[doc(hidden)]
pub mod door;
mod ingest;
mod service;
mod sessions;
mod turns;

use std::{net::IpAddr, sync::Arc};

use actix::Addr;
use decode::ReaderLimits;
use heapster_proto::v1;
use heapster_shared::tick::Resolution;
use service::BuddyService;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, transport::Server};

use crate::{
    access::{self, Connections, Door, OpenStream, Peer, Shares, Shown, bearer},
    actors::{lineup::LineupView, rate::Rates, supervisor::Supervisor},
    args::LimitArgs,
    core::room::Room,
};
pub use turns::{BACKFILL_TURNS, LIVE_TURNS, Turns};

/// Messages to a buddy that may wait for it to read them.
const OUTBOX_BOUND: usize = 64;
/// Streams of one connection: a buddy needs three.
const MAX_STREAMS: u32 = 16;
/// Bytes of the headers of a request, as HTTP/2 counts them.
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// Streams that the buddy may have opened and reset without the server having looked at them, and
/// streams that the server had to reset; past these the connection ends.
const MAX_RESETS: (usize, usize) = (20, 64);
/// Ingest streams of one session, one for each purpose.
const MAX_INGEST_STREAMS: u32 = 2;
/// Bytes that may be under way on a stream without the master having read them.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
/// The same for a connection: more than one stream may have, so that one that is made to wait does
/// not hold up the others of its buddy.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// What every stream needs.
#[derive(Clone)]
pub struct Context {
    /// Finds the clusters.
    pub supervisor: Addr<Supervisor>,
    /// Says who may connect, and as what.
    pub door: Arc<Door>,
    /// The sinks.
    pub sinks: LineupView,
    /// What the streams may remember of their segments.
    pub streams: Arc<Room>,
    /// Whose turn it is to decode.
    pub turns: Arc<Turns>,
    /// Told to the buddies, and held.
    pub limits: LimitArgs,
    /// Told to the buddies.
    pub resolution: Resolution,
    /// Cancelled when no more is to be read.
    pub draining: CancellationToken,
    /// Cancelled when the streams are to end.
    pub closing: CancellationToken,
    /// The Ingest streams that are open.
    pub ingests: TaskTracker,
    /// The sessions of each credential, by its name.
    pub(crate) sessions: Shares<String>,
    /// What their buddies have sent of late.
    pub rates: Rates,
}

/// Where a request comes from, for people.
fn peer<T>(request: &Request<T>) -> String {
    match request.extensions().get::<Peer>() {
        Some(Peer { is_within: true, .. }) => "this process".to_owned(),
        Some(Peer { address: Some(address), .. }) => address.to_string(),
        _ => String::new(),
    }
}

/// Whom a request is counted for; nothing within this process.
fn origin<T>(request: &Request<T>) -> Option<IpAddr> {
    let address = request.extensions().get::<Peer>()?.address?;
    Some(access::origin(address.ip()))
}

/// Keeps the connection of a request for as long as it is held.
fn begin<T>(request: &Request<T>) -> OpenStream {
    let peer = request.extensions().get::<Peer>();
    peer.map(|peer| peer.streams.clone()).unwrap_or_default().begin()
}

/// What whoever makes a request shows of himself.
fn shown<T>(request: &Request<T>) -> Shown {
    let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
    let header = request.metadata().get("authorization");
    let token = header.map(|header| bearer(header.as_encoded_bytes()));
    Shown { chain: peer.chain, token, is_within: peer.is_within }
}

/// Serves the protocol, reflection and health on these connections until `closing`.
///
/// # Errors
/// When the server fails.
pub(crate) async fn serve(context: Context, connections: Connections) -> anyhow::Result<()> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(v1::DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let (health, health_service) = tonic_health::server::health_reporter();
    let max_bytes = ReaderLimits::from(&context.limits).max_frame_bytes;
    // A connection that answers no ping within two thirds of this is cut.
    let ping = context.limits.idle_timeout / 3;
    let (draining, closing) = (context.draining.clone(), context.closing.clone());
    let heapster = BuddyService { context: Arc::new(context), max_bytes };
    health.set_serving::<BuddyService>().await;
    let not_serving = async move {
        draining.cancelled().await;
        health.set_not_serving::<BuddyService>().await;
    };
    let server = Server::builder()
        .http2_keepalive_interval(Some(ping))
        .http2_keepalive_timeout(Some(ping))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(MAX_RESETS.0))
        .http2_max_local_error_reset_streams(Some(MAX_RESETS.1))
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .add_service(reflection)
        .add_service(health_service)
        .add_service(heapster)
        .serve_with_incoming_shutdown(connections, closing.cancelled_owned());
    let (served, ()) = tokio::join!(server, not_serving);
    Ok(served?)
}
