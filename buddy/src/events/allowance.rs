//! How many events may pass.

use tokio::time::Instant;

/// A bucket that holds as many events as may pass in a minute, and is refilled evenly.
#[derive(Debug)]
pub(super) struct Allowance {
    most: f64,
    left: f64,
    filled: Instant,
}

impl Allowance {
    /// A full one.
    pub(super) fn new(per_minute: u32, now: Instant) -> Self {
        let most = f64::from(per_minute);
        Self { most, left: most, filled: now }
    }

    /// Whether an event may pass, in which case it counts. The last quarter is for warnings only: of
    /// a storm, those are what somebody will look for.
    pub(super) fn admits(&mut self, is_warning: bool, now: Instant) -> bool {
        let minutes = now.saturating_duration_since(self.filled).as_secs_f64() / 60.0;
        self.left = self.most.min(minutes.mul_add(self.most, self.left));
        self.filled = now;
        let reserved = if is_warning { 0.0 } else { self.most / 4.0 };
        let admits = self.left - 1.0 >= reserved;
        if admits {
            self.left -= 1.0;
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn admitted(allowance: &mut Allowance, events: u32, is_warning: bool, now: Instant) -> u32 {
        (0..events).map(|_| u32::from(allowance.admits(is_warning, now))).sum()
    }

    /// A burst of a minute's worth passes at once, then as many as are refilled; a storm of what is
    /// normal leaves room for warnings.
    #[test]
    fn a_storm_is_bounded_and_warnings_go_first() {
        let start = Instant::now();
        let mut allowance = Allowance::new(600, start);
        assert_eq!(admitted(&mut allowance, 10_000, false, start), 450);
        assert_eq!(admitted(&mut allowance, 10_000, true, start), 150);
        let mut passed = 0;
        for tenth in 1..=600 {
            let now = start + Duration::from_millis(100) * tenth;
            passed += admitted(&mut allowance, 17, false, now);
        }
        // A minute later a minute's worth has been refilled, of which a quarter is kept.
        assert_eq!(passed, 450);
        let later = start + Duration::from_secs(3_600);
        assert_eq!(admitted(&mut allowance, 10_000, true, later), 600, "no more is saved up");
    }

    /// However small the allowance is, a warning passes now and then.
    #[test]
    fn one_a_minute_is_for_a_warning() {
        let start = Instant::now();
        let mut allowance = Allowance::new(1, start);
        assert!(!allowance.admits(false, start));
        assert!(allowance.admits(true, start) && !allowance.admits(true, start));
        assert!(allowance.admits(true, start + Duration::from_secs(60)));
    }
}
