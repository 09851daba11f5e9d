//! What standalone prints: one line a tick, made from the rows themselves.

mod round;

use std::{io::Write, sync::Mutex};

use async_trait::async_trait;
use heapster_master::{
    delivery::Payload,
    sinks::{Sink, SinkError, Written},
};
use heapster_shared::tick::Tick;

use round::Round;

/// Rounds that may be open at once; an older one is forgotten, because its end never came.
const OPEN_ROUNDS: usize = 4;

/// A sink that prints a line when a round is over.
#[derive(Default)]
pub(crate) struct Console {
    rounds: Mutex<Vec<(Tick, Round)>>,
}

#[async_trait]
impl Sink for Console {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let mut delivered = 0;
        for payload in payloads {
            match payload {
                Payload::Rows(batch) => {
                    delivered += batch.sample_count() as u64;
                    self.with_round(batch.tick, |round| round.add(batch));
                }
                Payload::RoundEnd { tick, .. } => self.print(*tick),
                Payload::Events(_) => {}
            }
        }
        Ok(Written { delivered, ..Written::default() })
    }
}

impl Console {
    fn with_round(&self, tick: Tick, change: impl FnOnce(&mut Round)) {
        let mut rounds = self.rounds.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = rounds.iter().position(|(open, _)| *open == tick);
        let index = known.unwrap_or_else(|| {
            rounds.push((tick, Round::default()));
            if rounds.len() > OPEN_ROUNDS {
                rounds.remove(0);
            }
            rounds.len() - 1
        });
        change(&mut rounds[index].1);
    }

    fn print(&self, tick: Tick) {
        let mut rounds = self.rounds.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let ended = rounds.iter().position(|(open, _)| *open == tick);
        let round = ended.map(|index| rounds.remove(index).1).unwrap_or_default();
        // A closed terminal is no reason to stop measuring.
        let _ = writeln!(std::io::stdout().lock(), "{}", round.line(tick));
    }
}
