//! One frame of the log, and what became of it.

use bytes::Bytes;

/// One frame, encoded.
#[derive(Clone, Debug)]
pub struct LogFrame {
    /// Its number; 0 for definitions.
    pub sequence: u64,
    /// The tick of its rows; 0 for definitions.
    pub tick_unix_ms: i64,
    /// The frame as it is sent.
    pub bytes: Bytes,
}

impl LogFrame {
    /// Memory that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len() + size_of::<Self>() + size_of::<Fate>()
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
