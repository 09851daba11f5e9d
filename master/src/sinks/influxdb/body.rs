//! Lines on their way to the database, and how they are parted when they are too many for it.

use std::{io::Write, ops::Range, sync::Arc};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

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

/// Whole lines, and where each ends.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) precision: Precision,
    pub(super) text: Vec<u8>,
    pub(super) lines: Vec<LineEnd>,
}

/// The end of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineEnd {
    /// Offset behind its line break.
    pub(super) offset: usize,
    /// Samples on it.
    pub(super) samples: u32,
}

impl Body {
    /// An empty body that can take this many bytes, and a long line more, without moving.
    pub(super) fn with_room(bytes: usize) -> Self {
        let text = Vec::with_capacity(bytes + 4096);
        Self { text, ..Self::default() }
    }
}

/// Some lines of a body: what one request carries.
#[derive(Clone, Debug)]
pub(super) struct Part {
    body: Arc<Body>,
    lines: Range<usize>,
}

impl Part {
    /// All of a body.
    pub(super) fn whole(body: Body) -> Self {
        let lines = 0..body.lines.len();
        Self { body: Arc::new(body), lines }
    }

    /// The lines.
    pub(super) fn text(&self) -> &[u8] {
        let start = self.lines.start.checked_sub(1).map_or(0, |line| self.body.lines[line].offset);
        let end = self.lines.end.checked_sub(1).map_or(0, |line| self.body.lines[line].offset);
        &self.body.text[start..end]
    }

    /// The unit of its times.
    pub(super) fn precision(&self) -> Precision {
        self.body.precision
    }

    /// Number of lines.
    pub(super) fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// Number of samples.
    pub(super) fn samples(&self) -> u64 {
        self.body.lines[self.lines.clone()].iter().map(|line| u64::from(line.samples)).sum()
    }

    /// Its two halves; nothing when it is a single line.
    pub(super) fn halves(&self) -> Option<[Self; 2]> {
        if self.lines.len() < 2 {
            return None;
        }
        let middle = self.lines.start + self.lines.len() / 2;
        let part = |lines| Self { body: Arc::clone(&self.body), lines };
        Some([part(self.lines.start..middle), part(middle..self.lines.end)])
    }

    /// The lines as a request carries them. Takes its time: not for a thread that others wait for.
    pub(super) fn packed(&self, gzip: bool) -> Bytes {
        if !gzip {
            return Bytes::copy_from_slice(self.text());
        }
        let room = Vec::with_capacity(self.text().len() / 8);
        let mut encoder = GzEncoder::new(room, Compression::fast());
        // Neither fails when it writes to memory; were it so, the plain text would not do either.
        let _ = encoder.write_all(self.text());
        encoder.finish().unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part() -> Part {
        let mut body = Body::default();
        for (line, samples) in [("a\n", 1), ("bb\n", 2), ("ccc\n", 4)] {
            body.text.extend_from_slice(line.as_bytes());
            body.lines.push(LineEnd { offset: body.text.len(), samples });
        }
        Part::whole(body)
    }

    #[test]
    fn halves_are_whole_lines_and_lose_nothing() {
        let [first, second] = part().halves().unwrap();
        assert_eq!((first.text(), first.samples()), (&b"a\n"[..], 1));
        assert_eq!((second.text(), second.samples()), (&b"bb\nccc\n"[..], 6));
        assert!(first.halves().is_none());
        assert_eq!(second.halves().unwrap()[1].text(), b"ccc\n");
    }

    #[test]
    fn packed_it_unpacks_to_the_same() {
        let mut text = String::new();
        let packed = part().packed(true);
        let mut decoder = flate2::read::GzDecoder::new(packed.as_ref());
        std::io::Read::read_to_string(&mut decoder, &mut text).unwrap();
        assert_eq!(text.as_bytes(), part().text());
        assert_eq!(part().packed(false), part().text());
    }
}
