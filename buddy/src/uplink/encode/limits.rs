//! What a master takes.

use heapster_proto::v1::Limits;

/// What the master takes, as far as it matters for writing.
#[derive(Clone, Copy, Debug)]
pub struct WriteLimits {
    /// Of one encoded frame.
    pub frame_bytes: usize,
    /// Defined in one segment.
    pub entities: u32,
    /// Of one entity or field.
    pub labels: usize,
    /// Of one label's name and value together, and of any other name.
    pub label_bytes: usize,
}

/// Until a master has said what it takes.
impl Default for WriteLimits {
    fn default() -> Self {
        Self { frame_bytes: 256 << 10, entities: 1_000_000, labels: 64, label_bytes: 4 << 10 }
    }
}

impl WriteLimits {
    /// What the master has said. Frames fit both its limit and the credit, so that one frame never
    /// waits for all credit.
    pub(crate) fn told(limits: &Limits) -> Self {
        let ours = Self::default();
        let or = |given: usize, ours: usize| if given == 0 { ours } else { given };
        let bytes = |given: u64| usize::try_from(given).unwrap_or(usize::MAX);
        let count = |given: u32| usize::try_from(given).unwrap_or(usize::MAX);
        let frame = or(bytes(limits.max_frame_bytes), ours.frame_bytes);
        let credit = or(bytes(limits.credit_bytes), ours.frame_bytes);
        Self {
            frame_bytes: ours.frame_bytes.min(frame).min(credit),
            entities: if limits.max_entities == 0 { ours.entities } else { limits.max_entities },
            labels: or(count(limits.max_labels), ours.labels),
            label_bytes: or(count(limits.max_label_bytes), ours.label_bytes),
        }
    }
}
