//! What standalone prints: one line a tick, made from the rows themselves.

mod round;

use std::{
    io::Write,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use async_trait::async_trait;
use heapster_master::{
    delivery::Payload,
    sinks::{Sink, SinkError, Written},
    status::StatusSource,
};
use heapster_shared::tick::Tick;

use round::Round;

/// Rounds that may be open at once; an older one is forgotten, because its end never came.
const OPEN_ROUNDS: usize = 8;

/// A sink that prints a line when a round is over.
pub(crate) struct Console {
    /// Its own cluster; others that stream here too are named in their lines.
    cluster: String,
    rounds: Mutex<Vec<OpenRound>>,
    program: OnceLock<Watched>,
}

struct OpenRound {
    cluster: Arc<str>,
    tick: Tick,
    round: Round,
}

/// The program that it prints for.
struct Watched {
    status: Arc<dyn StatusSource>,
    validate: String,
}

#[async_trait]
impl Sink for Console {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let mut delivered = 0;
        for payload in payloads {
            match payload {
                Payload::Rows(batch) => {
                    delivered += batch.sample_count() as u64;
                    self.with_round(&batch.cluster, batch.tick, |round| round.add(batch));
                }
                Payload::RoundEnd { cluster, tick } => self.print(cluster, *tick).await,
                Payload::Events(_) => {}
            }
        }
        Ok(Written { delivered, ..Written::default() })
    }
}

impl Console {
    /// A console of the program whose own hosts are this cluster.
    pub(crate) fn new(cluster: String) -> Self {
        Self { cluster, rounds: Mutex::default(), program: OnceLock::new() }
    }

    /// Tells it, once, whom to ask for the number of hosts, and the page that says what is wrong.
    pub(crate) fn attach(&self, status: Arc<dyn StatusSource>, validate: String) {
        // A second call has nothing new to say.
        let _ = self.program.set(Watched { status, validate });
    }

    fn rounds(&self) -> MutexGuard<'_, Vec<OpenRound>> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_round(&self, cluster: &Arc<str>, tick: Tick, change: impl FnOnce(&mut Round)) {
        let mut rounds = self.rounds();
        let known = rounds.iter().position(|open| open.tick == tick && open.cluster == *cluster);
        let index = known.unwrap_or_else(|| {
            rounds.push(OpenRound { cluster: Arc::clone(cluster), tick, round: Round::default() });
            if rounds.len() > OPEN_ROUNDS {
                rounds.remove(0);
            }
            rounds.len() - 1
        });
        change(&mut rounds[index].round);
    }

    async fn print(&self, cluster: &str, tick: Tick) {
        let round = {
            let mut rounds = self.rounds();
            let ended =
                rounds.iter().position(|open| open.tick == tick && &*open.cluster == cluster);
            ended.map(|index| rounds.remove(index).round).unwrap_or_default()
        };
        let hosts = self.hosts_of(cluster).await;
        let validate = self.program.get().map_or("/validate", |program| &program.validate);
        let whose =
            if cluster == self.cluster { String::new() } else { format!("cluster {cluster}: ") };
        let line = round.line(hosts, validate);
        // A closed terminal is no reason to stop measuring.
        let _ = writeln!(std::io::stdout().lock(), "{}  {whose}{line}", round::time_of_day(tick));
    }

    /// Hosts that the cluster has, whether they answer or not.
    async fn hosts_of(&self, cluster: &str) -> Option<usize> {
        let clusters = self.program.get()?.status.clusters().await;
        let mut answered = clusters.iter().filter(|known| known.has_answered());
        answered.find(|known| known.name == cluster).map(|known| known.hosts.len())
    }
}
