//! Bodies that come in chunks: the lengths, extensions and trailers are taken out in place, so that
//! the buffer that is read into becomes the body.

use super::receive::Trouble;

/// Extensions of chunks, and trailers, may take no more than this in one answer; nobody reads them.
const IGNORED_BYTES: usize = 16 << 10;
/// As many digits as a length of 64 bits has; leading zeros count.
const LENGTH_DIGITS: u8 = 16;

/// How far a chunked body is read.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// Bytes of extensions and trailers so far.
    ignored: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// In a chunk's length.
    Length {
        value: u64,
        digits: u8,
    },
    /// Between the length and the end of its line.
    Extension {
        value: u64,
    },
    /// Before the LF after a length.
    LengthLf {
        value: u64,
    },
    /// In a chunk, with so many bytes to come.
    Data {
        left: u64,
    },
    /// Before the CR after a chunk.
    DataCr,
    /// Before the LF after a chunk.
    DataLf,
    /// At the start of a line after the last chunk.
    LineStart,
    /// In a trailer.
    Trailer,
    /// Before the LF after a trailer.
    TrailerLf,
    /// Before the last LF.
    LastLf,
    Done,
}

const START: State = State::Length { value: 0, digits: 0 };

impl Chunked {
    pub(super) const fn new() -> Self {
        Self { state: START, ignored: 0 }
    }

    /// Whether the body is complete.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Decodes what the buffer has from `raw_start` on, all of it, and appends it to the first
    /// `decoded` bytes; gives the number of bytes that followed the end of the body.
    ///
    /// # Errors
    /// When what came is no chunk, or a chunk announces more than the limit leaves.
    pub(super) fn decode(
        &mut self,
        buffer: &mut Vec<u8>,
        mut decoded: usize,
        raw_start: usize,
        limit: usize,
    ) -> Result<usize, Trouble> {
        let mut at = raw_start;
        while at < buffer.len() && !self.is_done() {
            if let State::Data { left } = self.state {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len() - at);
                buffer.copy_within(at..at + here, decoded);
                (at, decoded) = (at + here, decoded + here);
                let left = left - here as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                continue;
            }
            self.state = self.step(buffer[at])?;
            at += 1;
            if let State::Data { left } = self.state
                && left > (limit - decoded) as u64
            {
                buffer.truncate(decoded);
                return Err(Trouble::TooLarge);
            }
        }
        let after = buffer.len() - at;
        buffer.truncate(decoded);
        Ok(after)
    }

    /// Where a byte outside of the data leads to.
    fn step(&mut self, byte: u8) -> Result<State, Trouble> {
        Ok(match (self.state, byte) {
            (State::Length { digits: 1.., value }, b'\r') => State::LengthLf { value },
            (State::Length { digits: 1.., value }, b';' | b' ' | b'\t') => {
                State::Extension { value }
            }
            (State::Length { value, digits: digits @ ..LENGTH_DIGITS }, _) => {
                let digit = (byte as char).to_digit(16).ok_or_else(no_length)?;
                State::Length { value: value << 4 | u64::from(digit), digits: digits + 1 }
            }
            (State::Extension { value }, b'\r') => State::LengthLf { value },
            (State::Extension { .. }, b'\n') => return Err(no_length()),
            (state @ State::Extension { .. }, _) => self.ignore(state)?,
            (State::LengthLf { value: 0 }, b'\n') => State::LineStart,
            (State::LengthLf { value }, b'\n') => State::Data { left: value },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => START,
            (State::LineStart, b'\r') => State::LastLf,
            (State::LineStart | State::Trailer, b'\n') => {
                return Err(Trouble::Invalid("a trailer does not end as it must".to_owned()));
            }
            (State::LineStart, _) => self.ignore(State::Trailer)?,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::Trailer, _) => self.ignore(State::Trailer)?,
            (State::TrailerLf, b'\n') => State::LineStart,
            (State::LastLf, b'\n') => State::Done,
            _ => return Err(no_length()),
        })
    }

    fn ignore(&mut self, state: State) -> Result<State, Trouble> {
        self.ignored += 1;
        if self.ignored > IGNORED_BYTES {
            let what = "it has more extensions of chunks and trailers than anybody needs";
            return Err(Trouble::Invalid(what.to_owned()));
        }
        Ok(state)
    }
}

fn no_length() -> Trouble {
    Trouble::Invalid("where the length of a chunk must be there is something else".to_owned())
}
