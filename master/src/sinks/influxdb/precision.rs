//! The unit of the times of lines.

/// The unit of the times of lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Precision {
    #[default]
    Milliseconds,
    Nanoseconds,
}

impl Precision {
    /// As a request names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Nanoseconds => "ns",
        }
    }
}
