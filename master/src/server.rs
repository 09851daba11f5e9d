//! The assembled master: listeners, actors and the gRPC server, from start to an orderly stop.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Addr, Arbiter, ArbiterHandle};
use anyhow::{Context as _, anyhow};
use futures::future::join_all;
use heapster_shared::{spec::Spec, units::ByteSize};
use tokio::{runtime::Handle, sync::mpsc, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    access::{Connections, Door, Entrance, Shares, Within, accept, connections},
    actors::{
        Drain, SinkChild,
        exit::Intensity,
        lineup::{Lineup, Lineups},
        rate::Rates,
        router::RouterSlot,
        supervisor::{Launched, Supervisor, SupervisorConfig},
    },
    args::MasterArgs,
    core::{room::Room, sink_set::MOST_SINKS},
    grpc,
    observe::StatusHandle,
    reload::{ReadConfig, SinkControl, Workshop},
};

/// A buddy that is silent for longer than this is taken for dead.
pub const SILENCE: Duration = Duration::from_secs(30);
/// Time for the last receipts to reach the buddies.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// The threads that actors live on.
pub struct Arbiters {
    shared: Vec<Arbiter>,
    reserved: Vec<Arbiter>,
}

impl Arbiters {
    /// Starts this many, at least one. Needs a running actix system.
    #[must_use]
    pub fn start(count: usize) -> Self {
        let shared = (0..count.max(1)).map(|_| Arbiter::new()).collect();
        Self { shared, reserved: Vec::new() }
    }

    /// The arbiters as actors are started on them, those that are reserved left out.
    #[must_use]
    pub fn handles(&self) -> Vec<ArbiterHandle> {
        self.shared.iter().map(Arbiter::handle).collect()
    }

    /// Starts one more for one actor, which then waits for no other.
    pub fn reserve(&mut self) -> ArbiterHandle {
        let arbiter = Arbiter::new();
        let handle = arbiter.handle();
        self.reserved.push(arbiter);
        handle
    }

    fn stop(self) {
        for arbiter in self.shared.into_iter().chain(self.reserved) {
            arbiter.stop();
        }
    }
}

/// A master that has its listeners and its actors, and serves nobody yet.
pub struct Master {
    grpc: TcpListener,
    http: Option<TcpListener>,
    within: Within,
    connections: Connections,
    shares: Shares<IpAddr>,
    context: grpc::Context,
    supervisor: Addr<Supervisor>,
    lineups: Arc<Lineups>,
    router: Arc<RouterSlot>,
    arbiters: Arbiters,
    failure: mpsc::Receiver<String>,
    drain_time: Duration,
}

impl Master {
    /// Binds the listeners and starts the actors. Needs a running actix system on a multi-threaded
    /// tokio runtime.
    ///
    /// # Errors
    /// A sentence for the user: options that do not fit together, or an address that cannot be had.
    pub fn build(
        args: &MasterArgs,
        arbiters: Arbiters,
        sinks: Vec<SinkChild>,
    ) -> anyhow::Result<Self> {
        args.check().map_err(|error| anyhow!(error))?;
        if sinks.len() > MOST_SINKS {
            return Err(anyhow!(
                "{} sinks are more than the {MOST_SINKS} there may be",
                sinks.len()
            ));
        }
        let door = Arc::new(Door::open(args)?);
        let grpc = bind(args.grpc_address(), "buddies", "--grpc-listen")?;
        let http = bind(args.listen, "HTTP", "--listen")?;
        if args.insecure {
            warn_of_plain_text(&grpc.local_addr()?, "buddies");
            warn_of_plain_text(&http.local_addr()?, "pages and the API");
        }
        let (failed, failure) = mpsc::channel(1);
        let config = SupervisorConfig {
            arbiters: arbiters.handles(),
            resolution: args.resolution,
            retention: args.model_retention,
            silence: SILENCE,
            max_hosts: ByteSize(args.limits.max_entities.into()).bytes(),
            max_clusters: args.limits.max_clusters,
            intensity: Intensity::default(),
            failure: failed,
        };
        let Launched { supervisor, lineups, router } = Supervisor::launch(config, sinks)?;
        let context = grpc::Context {
            supervisor: supervisor.clone(),
            door,
            sinks: lineups.view(),
            streams: Arc::new(Room::new(args.streams_max_bytes.bytes())),
            turns: Arc::default(),
            limits: args.limits,
            resolution: args.resolution,
            draining: CancellationToken::new(),
            closing: CancellationToken::new(),
            ingests: TaskTracker::new(),
            sessions: Shares::new(usize::MAX, args.limits.max_sessions_per_credential),
            rates: Rates::new(args.limits.max_sessions_per_credential),
        };
        let limits = &args.limits;
        let shares = Shares::new(limits.max_connections, limits.max_connections_per_address);
        let (within, connections) = connections();
        Ok(Self {
            grpc,
            http: Some(http),
            within,
            connections,
            shares,
            context,
            supervisor,
            lineups,
            router,
            arbiters,
            failure,
            drain_time: args.drain_time,
        })
    }

    /// Who may connect.
    #[must_use]
    pub fn door(&self) -> Arc<Door> {
        Arc::clone(&self.context.door)
    }

    /// How a buddy of this process connects.
    #[must_use]
    pub fn within(&self) -> Within {
        self.within.clone()
    }

    /// Where buddies connect to.
    ///
    /// # Errors
    /// When the listener does not know it.
    pub fn grpc_address(&self) -> io::Result<SocketAddr> {
        self.grpc.local_addr()
    }

    /// The listener for HTTP; whoever serves HTTP takes it.
    pub fn take_http(&mut self) -> Option<TcpListener> {
        self.http.take()
    }

    /// What the pages ask for the state of the master.
    #[must_use]
    pub fn status(&self) -> StatusHandle {
        StatusHandle::new(self.supervisor.clone(), self.lineups.view(), self.shares.clone())
    }

    /// Control over the sinks of these specs, which are the ones behind the first; started anew they
    /// go to these arbiters.
    pub(crate) fn control(
        &self,
        specs: &[Spec],
        arbiters: Vec<ArbiterHandle>,
        read: Option<ReadConfig>,
    ) -> SinkControl {
        let workshop = Workshop {
            supervisor: self.supervisor.clone(),
            lineups: Arc::clone(&self.lineups),
            router: Arc::clone(&self.router),
            arbiters,
            drain_time: self.drain_time,
            runtime: Handle::current(),
        };
        let slots = self.lineups.now().sinks.iter().skip(1).cloned().collect::<Vec<_>>();
        SinkControl::new(workshop, specs.iter().cloned().zip(slots).collect(), read)
    }

    /// Cancelled as soon as the master stops taking anything in: it is not ready any more.
    #[must_use]
    pub fn draining(&self) -> CancellationToken {
        self.context.draining.clone()
    }

    /// Serves buddies until it is told to stop or cannot go on, and stops in order: no more frames
    /// are read, the sinks write what they hold, the receipts of that go out, the streams end.
    ///
    /// # Errors
    /// When an actor failed too often, or the listener failed.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let door = self.door();
        let listener = tokio::net::TcpListener::from_std(self.grpc)?;
        let tls = door.tls(&[b"h2"])?;
        info!(address = %listener.local_addr()?, tls = tls.is_some(), "waiting for buddies");
        let closing = self.context.closing.clone();
        tokio::spawn(door.follow(closing.clone()));
        let patience = (&self.context.limits).into();
        let entrance = Entrance { tls, patience, shares: self.shares };
        tokio::spawn(accept(listener, entrance, self.within, closing));
        let mut server = tokio::spawn(grpc::serve(self.context.clone(), self.connections));
        let end = tokio::select! {
            () = stop.cancelled() => Ok(()),
            Some(why) = self.failure.recv() => Err(anyhow!(why)),
            served = &mut server => Err(served.map_or_else(Into::into, |served| {
                served.err().unwrap_or_else(|| anyhow!("the gRPC server ended by itself"))
            })),
        };
        self.context.draining.cancel();
        drain(&self.supervisor, &self.lineups.now(), Instant::now() + self.drain_time).await;
        // The receipts of what the sinks have just written.
        self.context.ingests.close();
        let _ = timeout(CLOSE_TIME, self.context.ingests.wait()).await;
        self.context.closing.cancel();
        if !server.is_finished() && timeout(CLOSE_TIME, &mut server).await.is_err() {
            server.abort();
        }
        self.arbiters.stop();
        end
    }
}

/// Tells the buddies and empties the sinks.
async fn drain(supervisor: &Addr<Supervisor>, lineup: &Lineup, deadline: Instant) {
    let _ = timeout(CLOSE_TIME, supervisor.send(Drain { deadline })).await;
    let draining = lineup.all().filter_map(|slot| slot.handle()).map(|handle| async move {
        let drained = handle.drain.send(Drain { deadline });
        let late = tokio::time::timeout_at(deadline.into(), drained).await.is_err();
        if late {
            warn!(
                sink = handle.name,
                "a sink did not finish in time: what it held is lost, or sent again by the buddies"
            );
        }
    });
    join_all(draining).await;
}

fn bind(address: SocketAddr, what: &str, option: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "cannot listen on {address} for {what}: another program has the port; stop it, or choose another address with {option}"
        ),
        io::ErrorKind::PermissionDenied => anyhow!(
            "cannot listen on {address} for {what}: this user may not use the port; choose one above 1023 with {option}"
        ),
        _ => anyhow!("cannot listen on {address} for {what}: {error}; see {option}"),
    })?;
    listener.set_nonblocking(true).with_context(|| format!("listening on {address}"))?;
    Ok(listener)
}

fn warn_of_plain_text(address: &SocketAddr, what: &str) {
    if !address.ip().is_loopback() {
        warn!(%address, "{what} are served in plain text: anybody on the way can read and change what is sent, tokens too");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_said_with_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(address, "buddies", "--grpc-listen").unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {address} for buddies: ")), "{error}");
        assert!(error.contains("another program has the port"), "{error}");
        assert!(error.ends_with("--grpc-listen"), "{error}");
    }
}
