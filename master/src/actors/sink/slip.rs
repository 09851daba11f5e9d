//! What is owed to those who sent what an entry holds.

use std::sync::{Arc, Mutex, PoisonError};

use crate::delivery::{Outcome, Ticket};

/// The way back to the senders of an entry.
#[derive(Debug)]
pub(super) enum Slip {
    /// One payload's; none where nobody waits.
    Payload(Option<Ticket>),
    /// A part of a window's.
    Window(Part),
}

impl Slip {
    /// Says what became of the entry.
    pub(super) fn settle(self, outcome: &Outcome) {
        match self {
            Self::Payload(Some(ticket)) => ticket.settle(outcome.clone()),
            Self::Payload(None) => {}
            Self::Window(mut part) => part.record(outcome.clone()),
        }
    }
}

/// One of the batches that a window was written as. One that is dropped unsettled asks for all of
/// the window again.
#[derive(Debug)]
pub(super) struct Part {
    held: Arc<Held>,
    settled: bool,
}

/// The tickets of a window, which are settled in their order when all its parts are.
#[derive(Debug)]
struct Held {
    tickets: Vec<Ticket>,
    worst: Mutex<Outcome>,
}

impl Part {
    /// This many parts of a window with these tickets.
    pub(super) fn of(tickets: Vec<Ticket>, parts: usize) -> impl Iterator<Item = Self> {
        let held = Arc::new(Held { tickets, worst: Mutex::default() });
        std::iter::repeat_n(held, parts).map(|held| Self { held, settled: false })
    }

    fn record(&mut self, outcome: Outcome) {
        self.settled = true;
        // Nothing panics while it holds the lock.
        self.held.worst.lock().unwrap_or_else(PoisonError::into_inner).worsen(outcome);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.settled {
            self.record(Outcome::Retry { reason: "a sink stopped before it wrote this".into() });
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let worst = std::mem::take(self.worst.get_mut().unwrap_or_else(PoisonError::into_inner));
        for ticket in self.tickets.drain(..) {
            ticket.settle(worst.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crash may come between any two parts: until the last is written nothing is acknowledged.
    #[test]
    fn a_window_is_settled_when_all_its_parts_are() {
        let (first, mut outcome) = Ticket::new();
        let (second, mut other) = Ticket::new();
        let mut parts = Part::of(vec![first, second], 2).map(Slip::Window);
        let (one, two) = (parts.next().unwrap(), parts.next().unwrap());
        drop(parts);
        one.settle(&Outcome::Delivered);
        assert!(outcome.try_recv().is_err());
        two.settle(&Outcome::Delivered);
        assert_eq!(outcome.try_recv().unwrap(), Outcome::Delivered);
        assert_eq!(other.try_recv().unwrap(), Outcome::Delivered);
    }

    #[test]
    fn a_part_that_is_lost_asks_for_all_again() {
        let (ticket, mut outcome) = Ticket::new();
        let mut parts = Part::of(vec![ticket], 2).map(Slip::Window);
        parts.next().unwrap().settle(&Outcome::Delivered);
        drop(parts.next().unwrap());
        drop(parts);
        assert!(matches!(outcome.try_recv().unwrap(), Outcome::Retry { .. }));
    }
}
