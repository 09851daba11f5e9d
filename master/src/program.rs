//! The whole program: listeners, actors, sinks, the model and HTTP, for every binary that has a
//! master in it.

use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    sync::Arc,
    sync::atomic::Ordering,
};

use actix::{Actor as _, ArbiterHandle};
use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    access::Within,
    actors::{
        SinkChild, SinkHandle,
        model::{self, ModelActor, ModelHandle},
    },
    args::MasterArgs,
    core::model::Limits,
    http::{self, AppState},
    observe::StatusHandle,
    reload::{ReadConfig, ReloadAnswer, ReloadError, SinkControl, sink_child, unique_name},
    server::{Arbiters, Master},
    sinks::{self, Configured},
    status::StatusSource,
};

/// The name of the recent past among the sinks.
const MODEL: &str = "model";

/// A master with everything around it, which serves HTTP already and buddies when it is run.
pub struct Program {
    master: Master,
    http: actix_web::dev::Server,
    state: AppState,
    http_address: SocketAddr,
    grpc_address: SocketAddr,
    control: Arc<SinkControl>,
}

impl Program {
    /// Checks the options, binds the listeners and starts the actors: those of the configured
    /// sinks, of the model, and of `more` sinks. The configuration is read again by `read`, when it
    /// is asked for. Needs a running actix system.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn build(
        args: &MasterArgs,
        more: Vec<Configured>,
        read: Option<ReadConfig>,
    ) -> anyhow::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        // One more: the first is the supervisor's and the router's.
        let mut arbiters = Arbiters::start(threads + 1);
        let mut configured = Vec::new();
        for spec in &args.sinks {
            let sink = sinks::configure(spec.clone());
            configured.push(sink.with_context(|| format!("--sink {}", spec.name()))?);
        }
        configured.extend(more);
        let model = ModelHandle::default();
        // The API asks the model, which should keep nobody waiting and wait for nobody.
        let mut children = vec![model_child(args, &model, arbiters.reserve())];
        let places: Vec<ArbiterHandle> = arbiters.handles().into_iter().skip(1).collect();
        let placed = named(configured).into_iter().zip(places.iter().cycle().cloned());
        children.extend(placed.map(|((sink, name), arbiter)| sink_child(sink, name, arbiter)));

        let mut master = Master::build(args, arbiters, children)?;
        let control = Arc::new(master.control(&args.sinks, places, read));
        let listener = master.take_http().context("the listener of HTTP is gone")?;
        let http_address = listener.local_addr()?;
        let mut state = AppState::new(Arc::new(master.status()), model).controlling(&control);
        state.resolution = args.resolution;
        let http = http::serve(listener, state.clone(), master.door(), (&args.limits).into())?;
        let grpc_address = master.grpc_address()?;
        Ok(Self { master, http, state, http_address, grpc_address, control })
    }

    /// Where the API and the page are.
    #[must_use]
    pub const fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// Where buddies connect to.
    #[must_use]
    pub const fn grpc_address(&self) -> SocketAddr {
        self.grpc_address
    }

    /// How a buddy of this process connects.
    #[must_use]
    pub fn within(&self) -> Within {
        self.master.within()
    }

    /// How everything is, for a program that shows it by itself.
    #[must_use]
    pub fn status(&self) -> Arc<dyn StatusSource> {
        Arc::clone(&self.state.status)
    }

    /// The same with what [`StatusSource`] leaves out.
    #[must_use]
    pub fn status_handle(&self) -> StatusHandle {
        self.master.status()
    }

    /// Serves until it is told to stop; then stops in order, HTTP last.
    ///
    /// # Errors
    /// When a part failed for good.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        tracing::info!(address = %self.http_address, "serving the API and the page over HTTP");
        let ends_with_terminal = !self.control.has_file() && io::stderr().is_terminal();
        let hangups = (!ends_with_terminal).then(|| signal(SignalKind::hangup())).transpose();
        let hangups = hangups.context("cannot watch for SIGHUP")?;
        let (handle, ready) = (self.http.handle(), self.state.ready);
        let draining = self.master.draining();
        let unready = async move {
            draining.cancelled().await;
            ready.store(false, Ordering::Release);
        };
        let hangups = tokio::spawn(reload_when_told(hangups, self.control));
        let http = tokio::spawn(self.http);
        let unready = tokio::spawn(unready);
        let ended = self.master.run(stop).await;
        unready.abort();
        hangups.abort();
        handle.stop(true).await;
        http.await.context("the HTTP server failed inside")??;
        ended
    }
}

/// Runs `heapster master` and `heapster-master`, whose configuration is read again by `read`.
///
/// # Errors
/// A sentence for the user.
pub fn run(args: &MasterArgs, read: Option<ReadConfig>) -> anyhow::Result<()> {
    block_on(async {
        let stop = stop_signal()?;
        Program::build(args, Vec::new(), read)?.run(stop).await
    })
}

/// Takes over the sinks of the file at each SIGHUP. A program without a file does not watch for it
/// on a terminal, so that it ends with that.
async fn reload_when_told(hangups: Option<Signal>, control: Arc<SinkControl>) {
    let Some(mut hangups) = hangups else { return };
    while hangups.recv().await.is_some() {
        tell(control.reload().await);
    }
}

/// Says in the log what a reload came to.
fn tell(reloaded: Result<ReloadAnswer, ReloadError>) {
    match reloaded {
        Ok(answer) => {
            let unchanged = answer.unchanged.len();
            tracing::info!(unchanged, "the configuration was read again");
            if !answer.needs_restart.is_empty() {
                let settings = answer.needs_restart.join(", ");
                tracing::warn!(settings, "these settings take effect at the next start");
            }
            if !answer.note.is_empty() {
                tracing::warn!("{}", answer.note);
            }
        }
        Err(error) => tracing::error!(%error, "the configuration cannot be taken over"),
    }
}

/// Runs a future on a system of actors over a multi-threaded runtime.
///
/// # Errors
/// When the runtime cannot be made, or as the future says.
pub fn block_on(future: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut runtime = Some(runtime);
    let system = actix::System::with_tokio_rt(move || {
        runtime.take().unwrap_or_else(|| unreachable!("a system has one runtime"))
    });
    system.block_on(future)
}

/// Cancelled when the program is asked to stop, by SIGTERM or SIGINT.
///
/// # Errors
/// When signals cannot be watched.
pub fn stop_signal() -> io::Result<CancellationToken> {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(stop)
}

fn model_child(args: &MasterArgs, model: &ModelHandle, arbiter: ArbiterHandle) -> SinkChild {
    let limits =
        Limits { retention: args.model_retention, max_bytes: args.model_max_bytes.bytes() };
    let model = model.clone();
    SinkChild {
        name: MODEL.to_owned(),
        required: false,
        mailbox_bound: model::MAILBOX,
        start: Box::new(move |guard| {
            let address = ModelActor::start_in_arbiter(&arbiter, move |_| {
                ModelActor::new(limits).guarded(guard)
            });
            model.replace(address.clone());
            SinkHandle::new(MODEL.to_owned(), false, address)
        }),
    }
}

/// The sinks with names by which they are told apart.
fn named(sinks: Vec<Configured>) -> Vec<(Configured, String)> {
    let mut names = vec![MODEL.to_owned()];
    let mut name = |sink: Configured| {
        let name = unique_name(&sink.name, &names);
        names.push(name.clone());
        (sink, name)
    };
    sinks.into_iter().map(&mut name).collect()
}
