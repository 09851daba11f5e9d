//! Gathers the rows of hosts that answer at about the same time into one batch.
//!
//! A frame costs the same on its way whether it holds one host or twenty, and columns of many rows
//! are smaller and quicker than many columns of few. So rows wait for others of their tick, but
//! never longer than [`LINGER`], and the end of a round waits for nothing.

use std::{collections::VecDeque, time::Duration};

use heapster_shared::row::RowBatch;
use tokio::{sync::mpsc, time::Instant};

use crate::poller::Polled;

/// How long rows wait for others to go with them.
pub(super) const LINGER: Duration = Duration::from_millis(100);

/// A batch of so many rows goes at once: some 250 KB in memory, some 60 KB on the wire.
const ENOUGH_ROWS: usize = 2_000;

/// What was polled, with rows gathered.
pub(super) struct Gather {
    polled: mpsc::Receiver<Polled>,
    /// What came with the rows before it, or after them.
    next: VecDeque<Polled>,
}

impl Gather {
    pub(super) const fn new(polled: mpsc::Receiver<Polled>) -> Self {
        Self { polled, next: VecDeque::new() }
    }

    /// The next batch or end of a round; `None` when the poller has ended.
    pub(super) async fn next(&mut self) -> Option<Polled> {
        let first = match self.next.pop_front() {
            Some(polled) => polled,
            None => self.polled.recv().await?,
        };
        let Polled::Rows(mut batch) = first else { return Some(first) };
        let deadline = Instant::now() + LINGER;
        while batch.row_count() < ENOUGH_ROWS {
            let Ok(Some(polled)) = tokio::time::timeout_at(deadline, self.polled.recv()).await
            else {
                break;
            };
            match polled {
                Polled::Rows(more) if goes_with(&batch, &more) => batch.append(more),
                // Of rows in the batch: they follow it.
                Polled::Samples(samples) => self.next.push_back(Polled::Samples(samples)),
                other => {
                    self.next.push_back(other);
                    break;
                }
            }
        }
        Some(Polled::Rows(batch))
    }
}

fn goes_with(batch: &RowBatch, more: &RowBatch) -> bool {
    batch.tick == more.tick && batch.cluster == more.cluster
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use heapster_shared::{
        entity::{Definition, EntityTable, Labels, Level},
        row::{Block, Cell, RowHead},
        schema::{Field, Layout, table},
        tick::Tick,
    };

    use super::*;
    use crate::poller::RoundEnd;

    struct Rows {
        layout: Arc<Layout>,
        entities: EntityTable,
    }

    impl Rows {
        fn new() -> Self {
            let layout = Layout::new(vec![Field::plain(table::MEMORY_USAGE.def())]);
            Self { layout: Arc::new(layout), entities: EntityTable::default() }
        }

        fn of(&mut self, node: &str, tick_ms: i64, rows: usize) -> Polled {
            let entity = self.entities.intern(Definition {
                parent: None,
                level: Level::Node,
                name: node.into(),
                uid: "".into(),
                start_time_ms: 0,
                labels: Labels::default(),
            });
            let mut block = Block::new(Arc::clone(&self.layout));
            for _ in 0..rows {
                let head =
                    RowHead { entity: Arc::clone(&entity), time_ms: tick_ms, interval_ms: 0 };
                block.push(head, &[Cell::int(1)], &[]);
            }
            Polled::Rows(RowBatch {
                cluster: "lab".into(),
                tick: Tick(tick_ms),
                blocks: vec![block],
            })
        }
    }

    fn end(tick_ms: i64) -> Polled {
        Polled::RoundEnd(RoundEnd { tick: Tick(tick_ms), ok: 2, failed: 0, late: 0 })
    }

    async fn gathered(polled: Vec<Polled>) -> Vec<usize> {
        let (sender, receiver) = mpsc::channel(polled.len());
        for polled in polled {
            sender.send(polled).await.unwrap();
        }
        drop(sender);
        let mut gather = Gather::new(receiver);
        let mut sizes = Vec::new();
        while let Some(polled) = gather.next().await {
            sizes.push(match polled {
                Polled::Rows(batch) => batch.row_count(),
                Polled::Samples(_) | Polled::RoundEnd(_) => 0,
            });
        }
        sizes
    }

    /// Hosts of one tick share a batch; another tick, or enough rows, start a new batch, and the
    /// order stays.
    #[tokio::test(start_paused = true)]
    async fn rows_of_a_tick_go_together() {
        let mut rows = Rows::new();
        let polled = vec![
            rows.of("a", 1_000, 2),
            rows.of("b", 1_000, 3),
            rows.of("c", 2_000, 1),
            rows.of("a", 1_000, ENOUGH_ROWS),
            rows.of("b", 1_000, 1),
            end(1_000),
            end(2_000),
        ];
        let expected = [5, 1, ENOUGH_ROWS, 1, 0, 0];
        assert_eq!(gathered(polled).await, expected);
    }

    /// A lone host's rows leave after the linger at the latest.
    #[tokio::test(start_paused = true)]
    async fn rows_wait_for_others_for_a_moment_only() {
        let (sender, receiver) = mpsc::channel(4);
        let mut gather = Gather::new(receiver);
        sender.send(Rows::new().of("a", 1_000, 1)).await.unwrap();
        let began = Instant::now();
        assert!(matches!(gather.next().await, Some(Polled::Rows(_))));
        assert!(began.elapsed() <= LINGER + Duration::from_millis(1), "{:?}", began.elapsed());
        sender.send(end(1_000)).await.unwrap();
        let began = Instant::now();
        assert!(matches!(gather.next().await, Some(Polled::RoundEnd(_))));
        assert!(began.elapsed().is_zero());
    }
}
