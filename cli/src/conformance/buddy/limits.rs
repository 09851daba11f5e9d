//! The limits that a buddy is told of, and whether it keeps to them.

use std::collections::HashMap;

use heapster_proto::v1::Limits;

use super::{LIMITS, reader::Breach};

/// Of one encoded frame.
pub(super) const MAX_FRAME_BYTES: u64 = 256 << 10;
/// Granted to each stream.
pub(super) const CREDIT_BYTES: u64 = 1 << 20;
/// In one segment.
pub(super) const MAX_ENTITIES: u32 = 100_000;
const MAX_LABELS: u32 = 32;
const MAX_LABEL_BYTES: u32 = 4 << 10;

/// What Welcome says, but for the credit.
pub(super) const fn told(credit_bytes: u64) -> Limits {
    Limits {
        max_frame_bytes: MAX_FRAME_BYTES,
        credit_bytes,
        max_entities: MAX_ENTITIES,
        max_labels: MAX_LABELS,
        max_label_bytes: MAX_LABEL_BYTES,
        max_streams: 2,
    }
}

/// Whether labels are neither too many nor too long.
pub(super) fn labels(labels: &HashMap<String, String>, of: &str, found: &mut Vec<Breach>) {
    if labels.len() > MAX_LABELS as usize {
        let what = format!("{of} has {} labels, and max_labels is {MAX_LABELS}", labels.len());
        found.push((LIMITS, what));
    }
    for (name, value) in labels {
        if name.len() + value.len() > MAX_LABEL_BYTES as usize {
            let what = format!("the label {name:.40} of {of} is longer than max_label_bytes");
            found.push((LIMITS, what));
        }
    }
}

/// Whether a name is not too long.
pub(super) fn name(name: &str, what: &str, found: &mut Vec<Breach>) {
    if name.len() > MAX_LABEL_BYTES as usize {
        found.push((LIMITS, format!("{what} is longer than max_label_bytes")));
    }
}
