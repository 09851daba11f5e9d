//! How fast a buddy sends, held against how fast it may. Pure: time is an argument.

mod rates;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

pub use rates::{Lent, Rates, TooMany};
use tokio::time::Instant;

/// Who was silent may send at once what it could have sent in this time.
const BURST: Duration = Duration::from_secs(4);
/// What is smaller counts as this many bytes, for each frame has its work.
const LEAST: usize = 1024;

/// What a buddy has sent, in the time that this takes at its rate.
#[derive(Debug, Default)]
pub struct Rate {
    paid_until: Mutex<Option<Instant>>,
}

impl Rate {
    /// Counts these bytes; when the next may be read, where it has to wait.
    pub fn spend(&self, bytes: usize, per_second: u64, now: Instant) -> Option<Instant> {
        let cost = bytes.max(LEAST) as f64 / per_second.max(1) as f64;
        let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let start = paid_until.map_or(earliest, |paid| paid.max(earliest));
        let end = start + Duration::from_secs_f64(cost);
        *paid_until = Some(end);
        (end > now).then_some(end)
    }

    /// Whether it may send as much at once as one that has never sent anything.
    fn is_like_new(&self, now: Instant) -> bool {
        let paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        paid_until.is_none_or(|paid| paid + BURST <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER_SECOND: u64 = 1 << 20;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_what_is_more_waits() {
        let (rate, now) = (Rate::default(), Instant::now() + BURST);
        assert!(rate.is_like_new(now));
        for _ in 0..4 {
            assert_eq!(rate.spend(1 << 20, PER_SECOND, now), None);
        }
        let second = Duration::from_secs(1);
        assert_eq!(rate.spend(1 << 20, PER_SECOND, now), Some(now + second));
        assert_eq!(rate.spend(1 << 20, PER_SECOND, now), Some(now + 2 * second));
        assert!(!rate.is_like_new(now + 5 * second) && rate.is_like_new(now + 6 * second));
        // After a long silence there is one burst again, and no more.
        let later = now + Duration::from_secs(3600);
        assert_eq!(rate.spend(4 << 20, PER_SECOND, later), None);
        assert_eq!(rate.spend(1 << 20, PER_SECOND, later), Some(later + second));
    }

    /// Otherwise frames without content could be sent as fast as the network goes.
    #[tokio::test(start_paused = true)]
    async fn what_is_empty_costs_as_well() {
        let (rate, now) = (Rate::default(), Instant::now() + BURST);
        let waits = (0..5000).filter(|_| rate.spend(0, PER_SECOND, now).is_some());
        assert_eq!(waits.count(), 5000 - 4096);
    }
}
