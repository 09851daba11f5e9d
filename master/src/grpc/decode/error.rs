//! Why a stream is no good.

/// What is wrong with the bytes of a stream: it ends with it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// They do not follow the protocol.
    #[error("{0}")]
    Malformed(String),
    /// They pass a limit that the buddy was told of.
    #[error("{0}")]
    Limit(String),
}

impl DecodeError {
    /// The error, with where it happened in front.
    #[must_use]
    pub fn at(self, place: &str) -> Self {
        match self {
            Self::Malformed(what) => Self::Malformed(format!("{place}: {what}")),
            Self::Limit(what) => Self::Limit(format!("{place}: {what}")),
        }
    }
}

/// Ends a function with a [`DecodeError::Malformed`] unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::grpc::decode::DecodeError::Malformed(format!($($message)+)));
        }
    };
}

/// Ends a function with a [`DecodeError::Limit`] unless the condition holds.
macro_rules! ensure_within {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::grpc::decode::DecodeError::Limit(format!($($message)+)));
        }
    };
}

pub(super) use {ensure, ensure_within};
