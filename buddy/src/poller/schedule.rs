//! When ticks come, and how the starts of hosts are spread over their first part.

use std::{sync::Arc, time::Duration};

use heapster_shared::tick::{Resolution, Tick};

/// The time now, in milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The longest sleep: after it the clock is looked at again, because it may have been set, and
/// because a sleep does not go on while the machine is suspended.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// No start is put off for longer than this.
const WIDEST_SPREAD: Duration = Duration::from_secs(5);

/// The grid of ticks, and the last one that was taken.
pub(super) struct Schedule {
    clock: Clock,
    last: Option<(Tick, Resolution)>,
}

impl Schedule {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, last: None }
    }

    /// Waits for the next tick. A tick is taken in its first quarter or not at all: after a
    /// suspension or an overload rounds are skipped, never bunched. Dropping the future loses
    /// nothing.
    pub(super) async fn next(&self, resolution: Resolution) -> Tick {
        loop {
            let now_ms = (self.clock)();
            let tick = resolution.at_or_before(now_ms);
            if self.is_new(tick, resolution) && now_ms - tick.0 <= i64::from(resolution.ms() / 4) {
                return tick;
            }
            let wait_ms = resolution.after(now_ms).0 - now_ms;
            let wait = Duration::from_millis(wait_ms.unsigned_abs());
            tokio::time::sleep(wait.min(LONGEST_SLEEP)).await;
        }
    }

    /// Notes that a round was started for a tick.
    pub(super) fn taken(&mut self, tick: Tick, resolution: Resolution) {
        let skipped = self.skipped(tick, resolution);
        if skipped > 0 {
            tracing::warn!(skipped, "ticks were missed: the machine was suspended or overloaded");
        }
        self.last = Some((tick, resolution));
    }

    /// Ticks between the last and this one; none where the grid has changed since.
    fn skipped(&self, tick: Tick, resolution: Resolution) -> i64 {
        let last = self.last.filter(|(_, grid)| *grid == resolution);
        last.map_or(0, |(last, _)| (tick.0 - last.0) / i64::from(resolution.ms()) - 1)
    }

    /// A tick is taken once. One that lies well before the last is new again: the clock was set
    /// back.
    fn is_new(&self, tick: Tick, resolution: Resolution) -> bool {
        let well_before = |last: Tick| tick.0 < last.0 - i64::from(resolution.ms());
        self.last.is_none_or(|(last, _)| tick > last || well_before(last))
    }
}

/// The part of the tick over which starts are spread; none where there is one host.
pub(super) fn spread(resolution: Resolution, hosts: usize) -> Duration {
    if hosts <= 1 { Duration::ZERO } else { WIDEST_SPREAD.min(resolution.duration() / 3) }
}

/// Where in the spread a host starts: the same at each tick and after a restart.
pub(super) fn offset(host_id: &str, spread: Duration) -> Duration {
    let spread_ms = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
    if spread_ms == 0 {
        return Duration::ZERO;
    }
    Duration::from_millis(scattered(host_id) % spread_ms)
}

/// FNV-1a with a final mix, because names that differ in their last digit alone are to lie apart.
fn scattered(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[test]
    fn starts_are_spread_evenly_and_the_same_each_time() {
        let spread = spread(Resolution::DEFAULT, 1_000);
        assert_eq!(spread, Duration::from_secs(5));
        let mut fifths = [0; 5];
        for number in 0..1_000 {
            let id = format!("node-{number}");
            assert_eq!(offset(&id, spread), offset(&id, spread));
            fifths[usize::try_from(offset(&id, spread).as_secs()).unwrap()] += 1;
        }
        assert!(fifths.iter().all(|count| (150..250).contains(count)), "{fifths:?}");
        assert_eq!(super::spread(Resolution::DEFAULT, 1), Duration::ZERO);
    }

    /// Each clock jump, and the tick that follows: the next on the grid, not those between.
    #[tokio::test(start_paused = true)]
    async fn missed_ticks_are_skipped_and_clock_jumps_are_followed() {
        let resolution = Resolution::DEFAULT;
        let offset = Arc::new(AtomicI64::new(0));
        let start = tokio::time::Instant::now();
        let shared = Arc::clone(&offset);
        let clock: Clock = Arc::new(move || {
            let elapsed = i64::try_from(start.elapsed().as_millis()).unwrap();
            1_000_000_000_000 / 15_000 * 15_000 + elapsed + shared.load(Ordering::SeqCst)
        });
        let base = clock();
        let mut schedule = Schedule::new(clock);
        let mut next = async |jump_ms: i64| {
            offset.fetch_add(jump_ms, Ordering::SeqCst);
            let tick = schedule.next(resolution).await;
            schedule.taken(tick, resolution);
            tick.0 - base
        };
        assert_eq!(next(0).await, 0);
        assert_eq!(next(0).await, 15_000);
        assert_eq!(next(100_000).await, 120_000, "115 s is late in its tick");
        assert_eq!(next(-60_000).await, 60_000, "set back");
        assert_eq!(next(-10_000).await, 75_000, "set back by less than a tick: none twice");
    }

    /// A buddy begins with the default and learns the master's resolution when it has connected:
    /// the ticks of the finer grid that lie before are not missed ones.
    #[test]
    fn another_resolution_misses_no_ticks() {
        let fine = Resolution::new(Duration::from_secs(1)).unwrap();
        let mut schedule = Schedule::new(Arc::new(|| 0));
        schedule.taken(Tick(15_000), Resolution::DEFAULT);
        assert_eq!(schedule.skipped(Tick(18_000), fine), 0);
        schedule.taken(Tick(18_000), fine);
        assert_eq!(schedule.skipped(Tick(19_000), fine), 0);
        assert_eq!(schedule.skipped(Tick(21_000), fine), 2);
    }
}
