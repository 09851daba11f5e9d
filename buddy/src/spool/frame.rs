//! One frame of the log, and what became of it.

use bytes::Bytes;

/// One frame, encoded.
#[derive(Clone, Debug)]
pub struct LogFrame {
    /// Its number; 0 for definitions.
    pub sequence: u64,
    /// The tick of its rows, or the time of its events; 0 for definitions.
    pub tick_unix_ms: i64,
    /// Whether it has events, which get a part of the log only.
    pub is_events: bool,
    /// The frame as it is sent.
    pub bytes: Bytes,
}

impl LogFrame {
    /// Memory that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len() + size_of::<Self>()
    }

    /// The same for a frame with events; nothing for any other.
    pub(super) fn event_bytes(&self) -> usize {
        if self.is_events { self.size() } else { 0 }
    }
}

/// What became of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Not sent, or not answered.
    Waiting,
    /// To be sent again.
    Retry,
    /// Delivered, or refused for good.
    Settled,
}
