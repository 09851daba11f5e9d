//! What families are: their type, unit and help. Version 1.0 has it apart from the series; it is
//! sent when there is something new, and again each minute, as Prometheus itself does.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use heapster_shared::Set;

use crate::{
    prometheus::Family,
    sinks::protobuf::{bytes_field, field_len, open, varint_field},
};

/// The time between two accounts.
const INTERVAL: Duration = Duration::from_secs(60);
/// Families that are kept, at most; names of custom metrics are not ours to bound.
const MOST_FAMILIES: usize = 10_000;

/// The families that were met.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    known: Set<Arc<str>>,
    encoded: Vec<u8>,
    is_new: bool,
    sent: Option<Instant>,
}

impl Metadata {
    /// A family of which there are series.
    pub(super) fn learn(&mut self, family: &Family) {
        if self.known.contains(family.name.as_str()) || self.known.len() >= MOST_FAMILIES {
            return;
        }
        self.known.insert(family.name.as_str().into());
        self.is_new = true;
        let texts = [&family.name, &family.help, family.unit].map(str::len).map(field_len);
        open(3, 2 + texts.iter().sum::<usize>(), &mut self.encoded);
        varint_field(1, if family.is_counter { 1 } else { 2 }, &mut self.encoded);
        bytes_field(2, family.name.as_bytes(), &mut self.encoded);
        bytes_field(4, family.help.as_bytes(), &mut self.encoded);
        bytes_field(5, family.unit.as_bytes(), &mut self.encoded);
    }

    /// All families as fields of a request, when it is time to send them.
    pub(super) fn due(&mut self, now: Instant) -> Option<&[u8]> {
        let again = self.sent.is_none_or(|sent| now.saturating_duration_since(sent) >= INTERVAL);
        if self.encoded.is_empty() || !(self.is_new || again) {
            return None;
        }
        (self.is_new, self.sent) = (false, Some(now));
        Some(&self.encoded)
    }
}
