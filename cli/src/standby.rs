//! `heapster master --poll`: beside the master, a buddy for each cluster whose hosts nobody else
//! polls.
//!
//! Such a buddy stands by: the master gives it hosts only as long as no other buddy can have them,
//! and takes them back when another one has accepted them. So it is started early and ended late,
//! and no host is without a buddy in between.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::Args;
use heapster_buddy::{
    args::PollingArgs,
    run::Buddy,
    uplink::{Connect, UplinkConfig},
};
use heapster_master::{
    actors::cluster::PollNeed,
    args::MasterArgs,
    observe::StatusHandle,
    program::{Program, block_on, stop_signal},
    reload::ReadConfig,
};
use heapster_shared::spec::Spec;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::standalone::{beside_master, connect};

/// How often it is looked which clusters need a buddy.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A buddy that has had no hosts for this long is ended.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// A buddy that failed is not started again before.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Its id in every cluster.
const BUDDY_ID: &str = "heapster-master";

/// Whether the master polls.
#[derive(Args, Debug)]
#[command(next_help_heading = "Polling")]
pub(crate) struct StandbyArgs {
    /// Poll, from this process, the hosts of each cluster that has no buddy to poll them
    #[arg(long)]
    poll: bool,
    /// What polls them, such as cadvisor or summary; of several the next is asked where the one
    /// before failed [default: cadvisor]
    #[arg(long, value_name = "SPEC")]
    poll_source: Vec<Spec>,
}

impl StandbyArgs {
    /// Whether the options make sense, before anything starts.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.poll || self.poll_source.is_empty(),
            "--poll-source is for a master that polls: give --poll"
        );
        if self.poll {
            let nowhere: Connect = Arc::new(|| {
                Box::pin(async {
                    Err(std::io::Error::other("there is no master to check this with"))
                })
            });
            self.buddy("default", nowhere).context("--poll-source")?;
        }
        Ok(())
    }

    /// A buddy of this process for a cluster.
    fn buddy(&self, cluster: &str, master: Connect) -> anyhow::Result<Buddy> {
        let polling = PollingArgs::only_polling(cluster, BUDDY_ID, self.poll_source.clone())?;
        Ok(Buddy::build(polling, UplinkConfig::within(master))?.standing_by())
    }
}

/// Runs a master until it is told to stop, and polls beside it where it is asked to.
pub(crate) fn run(
    master: &MasterArgs,
    args: StandbyArgs,
    read: Option<ReadConfig>,
) -> anyhow::Result<()> {
    args.check()?;
    if !args.poll {
        return heapster_master::program::run(master, read);
    }
    block_on(serve(master, args, read))
}

async fn serve(
    master: &MasterArgs,
    args: StandbyArgs,
    read: Option<ReadConfig>,
) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let program = Program::build(master, Vec::new(), read)?;
    let master = connect(program.within());
    let standby =
        Standby { args, master, status: program.status_handle(), buddies: BTreeMap::new() };
    beside_master(program, stop.clone(), standby.run(stop)).await
}

/// The buddies of this process, by cluster.
struct Standby {
    args: StandbyArgs,
    master: Connect,
    status: StatusHandle,
    buddies: BTreeMap<String, Polling>,
}

/// A buddy that runs, or has ended.
struct Polling {
    running: JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
    /// When it was last seen to be of use.
    used: Instant,
}

impl Standby {
    async fn run(mut self, stop: CancellationToken) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = looks.tick() => {}
            }
            for need in self.status.poll_needs().await {
                self.meet(&need);
            }
            self.end_idle().await;
        }
        self.buddies.values().for_each(|buddy| buddy.stop.cancel());
        for (cluster, buddy) in self.buddies {
            ended(&cluster, buddy.running).await;
        }
    }

    fn meet(&mut self, need: &PollNeed) {
        let is_needed = need.on_standby > 0 || (need.pollers == 0 && need.hosts > 0);
        if !is_needed {
            return;
        }
        if let Some(buddy) = self.buddies.get_mut(&need.cluster) {
            // One that failed has its time to be forgotten, and is then started anew.
            if !buddy.running.is_finished() {
                buddy.used = Instant::now();
            }
            return;
        }
        match self.args.buddy(&need.cluster, Arc::clone(&self.master)) {
            Ok(buddy) => {
                tracing::info!(
                    cluster = need.cluster,
                    hosts = need.hosts,
                    "no buddy polls the hosts: the master does"
                );
                let stop = CancellationToken::new();
                let running = tokio::spawn(buddy.run(stop.clone()));
                let polling = Polling { running, stop, used: Instant::now() };
                self.buddies.insert(need.cluster.clone(), polling);
            }
            Err(error) => tracing::warn!(cluster = need.cluster, "cannot poll: {error:#}"),
        }
    }

    /// Ends what is of no use any more, and forgets what has ended.
    async fn end_idle(&mut self) {
        let idle = |buddy: &Polling| buddy.used.elapsed() > IDLE_FOR;
        self.buddies.values().filter(|buddy| idle(buddy)).for_each(|buddy| buddy.stop.cancel());
        let over = |_: &String, buddy: &mut Polling| {
            let was_asked_to = buddy.stop.is_cancelled();
            buddy.running.is_finished() && (was_asked_to || buddy.used.elapsed() > RETRY_AFTER)
        };
        for (cluster, buddy) in self.buddies.extract_if(.., over) {
            ended(&cluster, buddy.running).await;
        }
    }
}

async fn ended(cluster: &str, running: JoinHandle<anyhow::Result<()>>) {
    match running.await {
        Ok(Ok(())) => tracing::info!(cluster, "the master does not poll these hosts any more"),
        Ok(Err(error)) => tracing::warn!(cluster, "polling beside the master ended: {error:#}"),
        Err(error) => tracing::error!(cluster, %error, "polling beside the master failed inside"),
    }
}
