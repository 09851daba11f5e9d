//! The symbols of a request of version 2.0: every text once, and named by its number.

use heapster_shared::Map;

use super::owner::{Owner, Part};
use crate::sinks::protobuf::{bytes_field, varint};

/// The texts of a request.
#[derive(Debug)]
pub(super) struct Symbols {
    numbers: Map<Box<[u8]>, u32>,
    /// As `Request.symbols`, one after the other.
    encoded: Vec<u8>,
    /// The labels of the owner that was asked for last, and where that is.
    owner: Vec<[u32; 2]>,
    owner_at: usize,
}

impl Default for Symbols {
    fn default() -> Self {
        let (numbers, encoded, owner) = (Map::default(), Vec::new(), Vec::new());
        let mut symbols = Self { numbers, encoded, owner, owner_at: 0 };
        symbols.begin();
        symbols
    }
}

impl Symbols {
    /// The first symbol is always the empty text.
    fn begin(&mut self) {
        self.numbers.clear();
        self.owner_at = 0;
        self.intern(b"");
    }

    /// The symbols of a request that ends here; those of another one follow.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let encoded = std::mem::take(&mut self.encoded);
        self.begin();
        encoded
    }

    pub(super) fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// The number of a text.
    pub(super) fn intern(&mut self, text: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        // A request is full long before there are as many.
        let number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.numbers.insert(text.into(), number);
        bytes_field(4, text, &mut self.encoded);
        number
    }

    /// The labels of a series, sorted, as numbers of names and values in turn.
    pub(super) fn labels(&mut self, owner: &Owner, parts: &[Part], refs: &mut Vec<u32>) {
        self.look_at(owner);
        refs.clear();
        let mut copied = 0;
        for part in parts {
            let (from, to) = owner.place(&part.name);
            refs.extend(self.owner[copied..from].iter().flatten());
            let (name, value) = (self.intern(&part.name), self.intern(&part.value));
            refs.extend([name, value]);
            copied = to;
        }
        refs.extend(self.owner[copied..].iter().flatten());
    }

    /// Rows come one after the other: the labels of a thing are looked up once for all its fields.
    fn look_at(&mut self, owner: &Owner) {
        let at = std::ptr::from_ref(owner).addr();
        if self.owner_at == at {
            return;
        }
        let mut labels = std::mem::take(&mut self.owner);
        labels.clear();
        labels.extend(owner.labels().map(|(name, value)| [self.intern(name), self.intern(value)]));
        (self.owner, self.owner_at) = (labels, at);
    }
}

/// Appends numbers one after the other.
pub(super) fn append_refs(refs: &[u32], out: &mut Vec<u8>) {
    for one in refs {
        varint(u64::from(*one), out);
    }
}
