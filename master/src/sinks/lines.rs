//! Lines on their way to a peer, and how they are parted when they are too many for it. A line is
//! whatever cannot be parted: one of text, or a pair of a bulk request.

use std::{io::Write, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

use super::{SinkError, tally::Tally};

/// Whole lines, and where each ends.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// The lines, each with its end.
    pub(super) text: Vec<u8>,
    /// Where they end.
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

    /// Ends a line that has been appended to the text.
    pub(super) fn end_line(&mut self, samples: u32) {
        self.lines.push(LineEnd { offset: self.text.len(), samples });
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

    /// Number of lines.
    pub(super) fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// Number of samples.
    pub(super) fn samples(&self) -> u64 {
        self.body.lines[self.lines.clone()].iter().map(|line| u64::from(line.samples)).sum()
    }

    /// The samples that this many of its lines have. Peers count lines and do not say which ones they
    /// mean, so that lines with several samples count as lines of average length.
    fn samples_of(&self, lines: u64) -> u64 {
        let (all_lines, samples) = (self.line_count() as u64, self.samples());
        if lines >= all_lines { samples } else { lines * samples / all_lines }
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

/// What became of a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// The peer has all of it.
    Taken,
    /// The peer has it all but for some lines, which it will never take.
    TakenInPart {
        /// How many.
        lines_refused: u64,
        /// Why, in its words.
        reason: String,
    },
    /// The peer has it all but for some samples, which it will never take.
    TakenBut {
        /// How many.
        samples_refused: u64,
        /// Why, in its words.
        reason: String,
    },
    /// It is too large for one request.
    TooLarge,
    /// The peer does not have it.
    Failed(SinkError),
}

/// Writes parts to a peer.
#[async_trait]
pub(super) trait LineWriter: Sync {
    /// Writes a part once.
    ///
    /// # Errors
    /// When it could not be tried at all.
    async fn write_part(&self, part: &Part) -> Result<Verdict, SinkError>;

    /// Writes a body, in halves where it is too large, and counts what became of its samples.
    ///
    /// # Errors
    /// When the peer does not have some of it, and may take it later.
    async fn write_body(&self, body: Body, tally: &mut Tally) -> Result<(), SinkError> {
        let mut parts = vec![Part::whole(body)];
        while let Some(part) = parts.pop() {
            let samples = part.samples();
            match self.write_part(&part).await? {
                Verdict::Taken => tally.delivered += samples,
                Verdict::TakenInPart { lines_refused, reason } => {
                    let refused = part.samples_of(lines_refused);
                    tally.delivered += samples - refused;
                    tally.refuse(refused, &reason);
                }
                Verdict::TakenBut { samples_refused, reason } => {
                    let refused = samples_refused.min(samples);
                    tally.delivered += samples - refused;
                    tally.refuse(refused, &reason);
                }
                Verdict::TooLarge => match part.halves() {
                    Some([first, second]) => parts.extend([second, first]),
                    None => tally.refuse(samples, "a single line is too large for the peer"),
                },
                Verdict::Failed(SinkError::Permanent { message }) => {
                    tally.refuse(samples, &message);
                }
                Verdict::Failed(transient) => return Err(transient),
            }
        }
        Ok(())
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
