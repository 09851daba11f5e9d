//! Why actors stop, and how their supervisor learns of it whatever happens.

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

/// Why an actor stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It had nothing more to do.
    Done,
    /// It was asked to drain, and has.
    Drained,
    /// What it sends to is gone.
    DownstreamClosed,
    /// It gave up.
    Failed(String),
    /// It panicked.
    Panicked,
    /// It was dropped without a word: its arbiter or the program stopped.
    Killed,
}

impl Exit {
    /// Whether it is meant to stay stopped.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Done | Self::Drained)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Drained => f.write_str("drained"),
            Self::DownstreamClosed => f.write_str("downstream closed"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Panicked => f.write_str("panicked"),
            Self::Killed => f.write_str("killed"),
        }
    }
}

/// Held by an actor as long as it lives. When it is dropped, also by a panic that unwinds, the
/// supervisor is told why.
#[derive(Debug)]
pub struct ExitGuard {
    sender: Option<oneshot::Sender<Exit>>,
    exit: Option<Exit>,
}

impl ExitGuard {
    /// A guard, and where the exit will be.
    #[must_use]
    pub fn new() -> (Self, oneshot::Receiver<Exit>) {
        let (sender, receiver) = oneshot::channel();
        (Self { sender: Some(sender), exit: None }, receiver)
    }

    /// Says why the actor is about to stop; without it a stop counts as [`Exit::Killed`].
    pub fn set(&mut self, exit: Exit) {
        self.exit = Some(exit);
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        let exit = if std::thread::panicking() {
            Exit::Panicked
        } else {
            self.exit.take().unwrap_or(Exit::Killed)
        };
        if let Some(sender) = self.sender.take() {
            // Nobody listens any more when the supervisor has gone first.
            let _ = sender.send(exit);
        }
    }
}

/// How often a child may be started again before its supervisor gives up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Intensity {
    /// Restarts allowed ...
    pub restarts: usize,
    /// ... within this time.
    pub within: Duration,
}

impl Default for Intensity {
    fn default() -> Self {
        Self { restarts: 5, within: Duration::from_secs(60) }
    }
}

/// The restarts of one child.
#[derive(Debug, Default)]
pub struct Restarts {
    recent: VecDeque<Instant>,
    total: u32,
}

impl Restarts {
    /// Whether one more is allowed now; it is counted if so.
    pub fn allow(&mut self, intensity: Intensity, now: Instant) -> bool {
        let expired = |at: &Instant| now.saturating_duration_since(*at) >= intensity.within;
        while self.recent.front().is_some_and(expired) {
            self.recent.pop_front();
        }
        if self.recent.len() >= intensity.restarts {
            return false;
        }
        self.recent.push_back(now);
        self.total = self.total.saturating_add(1);
        true
    }

    /// How often it was started again.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_from_a_stop() {
        let (guard, mut killed) = ExitGuard::new();
        drop(guard);
        assert_eq!(killed.try_recv(), Ok(Exit::Killed));

        let (mut guard, mut done) = ExitGuard::new();
        guard.set(Exit::Done);
        drop(guard);
        assert_eq!(done.try_recv(), Ok(Exit::Done));

        let (guard, mut panicked) = ExitGuard::new();
        let thread = std::thread::spawn(move || {
            let _guard = guard;
            panic!("as the test wants");
        });
        assert!(thread.join().is_err());
        assert_eq!(panicked.try_recv(), Ok(Exit::Panicked));
    }

    #[test]
    fn restarts_are_bounded_in_time() {
        let intensity = Intensity { restarts: 2, within: Duration::from_secs(60) };
        let start = Instant::now();
        let mut restarts = Restarts::default();
        assert!(restarts.allow(intensity, start));
        assert!(restarts.allow(intensity, start + Duration::from_secs(30)));
        assert!(!restarts.allow(intensity, start + Duration::from_secs(59)));
        assert!(restarts.allow(intensity, start + Duration::from_secs(60)));
        assert_eq!(restarts.total(), 3);
    }
}
