//! The API and the page.
//!
//! Handlers hold no state: they ask the model's actor and the [`StatusSource`], each within a time
//! limit, and write down the answer. What cannot be answered is a JSON object with one sentence.

mod ask;
mod bounds;
mod change;
mod containers;
#[doc(hidden)]
pub mod door;
mod error;
mod export;
mod gate;
mod health;
mod html;
mod metrics;
mod model;
mod model_path;
mod openapi;
mod page;
mod parameters;
mod prometheus;
mod routes;
mod schema;
mod status;
mod validate;

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use actix_web::{
    App, HttpServer,
    dev::Server,
    middleware::{Compress, from_fn},
    web,
};

use heapster_shared::tick::Resolution;
use tokio::sync::Semaphore;

pub use bounds::Bounds;
pub use model::{PointAnswer, SeriesAnswer};
pub use routes::configure;
pub use schema::{LabelDescription, MetricDescription, SchemaAnswer};

use crate::{access::Door, actors::model::ModelHandle, reload::SinkControl, status::StatusSource};

/// What the handlers need.
#[derive(Clone)]
pub struct AppState {
    /// Asks the parts for their state.
    pub status: Arc<dyn StatusSource>,
    /// Asks the recent past.
    pub model: ModelHandle,
    /// When the process started.
    pub started: Instant,
    /// Version of the program.
    pub version: &'static str,
    /// Whether new work is welcome; taken back when the program begins to stop.
    pub ready: Arc<AtomicBool>,
    /// Changes the sinks, where that is possible.
    control: Option<Arc<SinkControl>>,
    /// How often there are rows, by which it is told what is no longer there.
    pub resolution: Resolution,
    /// Turns of those who read everything at once.
    exports: Arc<Semaphore>,
}

impl AppState {
    /// The state of a program that starts now and is ready.
    #[must_use]
    pub fn new(status: Arc<dyn StatusSource>, model: ModelHandle) -> Self {
        Self {
            status,
            model,
            started: Instant::now(),
            version: env!("CARGO_PKG_VERSION"),
            ready: Arc::new(AtomicBool::new(true)),
            control: None,
            resolution: Resolution::DEFAULT,
            exports: Arc::new(Semaphore::new(containers::AT_ONCE)),
        }
    }

    /// The same for a program whose sinks can be changed.
    #[must_use]
    pub fn controlling(mut self, control: &Arc<SinkControl>) -> Self {
        self.control = Some(Arc::clone(control));
        self
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}

/// Threads that serve; answers are small, and the work is the model's.
const WORKERS: usize = 2;

/// Handshakes of TLS that a thread has under way at a time: as many as it may have connections, so
/// that those which never end hold nobody up.
const HANDSHAKES: usize = 512;

/// Serves whom the door lets in, on a socket that is bound already, until the server is dropped or
/// stopped by its handle.
///
/// # Errors
/// When the socket cannot be listened on, or TLS cannot be set up.
pub fn serve(
    listener: TcpListener,
    state: AppState,
    door: Arc<Door>,
    bounds: Bounds,
) -> anyhow::Result<Server> {
    let doorkeeper = bounds::Doorkeeper::new(&bounds);
    let state = web::Data::new(state);
    let tls = door.tls(&[])?;
    let door = web::Data::from(door);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(door.clone())
            .configure(configure)
            .wrap(from_fn(gate::check))
            .wrap(Compress::default())
    });
    let server = server
        .workers(WORKERS)
        .max_connections(bounds.connections.div_ceil(WORKERS))
        .max_connection_rate(HANDSHAKES)
        .tls_handshake_timeout(bounds.request)
        .client_request_timeout(bounds.request)
        .keep_alive(bounds.idle)
        .shutdown_timeout(5)
        .on_connect(move |connection, data| {
            gate::keep_chain(connection, data);
            doorkeeper.look_at(connection, data);
        })
        .disable_signals();
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    Ok(server.run())
}
