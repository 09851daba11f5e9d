//! Riemann's messages, written straight into bytes, and its answers.
//!
//! ```text
//! Msg   { optional bool ok = 2; optional string error = 3; repeated Event events = 6; }
//! Event { int64 time = 1; string state = 2; string service = 3; string host = 4;
//!         string description = 5; repeated string tags = 7; float ttl = 8;
//!         repeated Attribute attributes = 9; int64 time_micros = 10;
//!         sint64 metric_sint64 = 13; double metric_d = 14; }
//! Attribute { string key = 1; string value = 2; }
//! ```

use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint},
};

use crate::sinks::samples::Number;

/// What a server says to a message.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Answer {
    /// Whether it took it; absent means yes, as in all clients.
    #[prost(bool, optional, tag = "2")]
    pub(super) ok: Option<bool>,
    /// Why not.
    #[prost(string, optional, tag = "3")]
    pub(super) error: Option<String>,
}

/// Appends a text; nothing where it is empty.
pub(super) fn text(field: u32, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        bytes(field, text.as_bytes(), out);
    }
}

/// Appends bytes that have a length.
pub(super) fn bytes(field: u32, value: &[u8], out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Appends an attribute of an event.
pub(super) fn attribute(key: &str, value: &str, out: &mut Vec<u8>) {
    let mut attribute = Vec::with_capacity(key.len() + value.len() + 4);
    bytes(1, key.as_bytes(), &mut attribute);
    text(2, value, &mut attribute);
    bytes(9, &attribute, out);
}

/// Appends the time for which an event counts, in seconds.
pub(super) fn ttl(seconds: f32, out: &mut Vec<u8>) {
    encode_key(8, WireType::ThirtyTwoBit, out);
    out.extend_from_slice(&seconds.to_le_bytes());
}

/// The times and the value of an event, as they stand in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Milliseconds since 1970.
    pub(super) time_ms: i64,
    /// The metric.
    pub(super) value: Number,
}

impl Moment {
    /// The bytes that [`Moment::write`] appends.
    fn len(self) -> usize {
        let value = match self.value {
            Number::Int(value) => 1 + encoded_len_varint(zigzag(value)),
            Number::Real(_) => 1 + 8,
        };
        let (seconds, micros) = self.times();
        value + 2 + encoded_len_varint(seconds) + encoded_len_varint(micros)
    }

    /// Negative times are none that anybody takes; they are written as they would be read.
    fn times(self) -> (u64, u64) {
        let seconds = self.time_ms.div_euclid(1000);
        (seconds.cast_unsigned(), self.time_ms.saturating_mul(1000).cast_unsigned())
    }

    fn write(self, out: &mut Vec<u8>) {
        let (seconds, micros) = self.times();
        encode_key(1, WireType::Varint, out);
        encode_varint(seconds, out);
        encode_key(10, WireType::Varint, out);
        encode_varint(micros, out);
        match self.value {
            Number::Int(value) => {
                encode_key(13, WireType::Varint, out);
                encode_varint(zigzag(value), out);
            }
            Number::Real(value) => {
                encode_key(14, WireType::SixtyFourBit, out);
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
    }
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Appends an event of a message: parts that were written before, then its moment.
pub(super) fn event(parts: &[&[u8]], moment: Moment, out: &mut Vec<u8>) {
    let length: usize = parts.iter().map(|part| part.len()).sum::<usize>() + moment.len();
    encode_key(6, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
    for part in parts {
        out.extend_from_slice(part);
    }
    moment.write(out);
}

/// A message behind its length.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), message].concat()
}

/// Whether the server took a message.
///
/// # Errors
/// Why not.
pub(super) fn read_answer(bytes: &[u8]) -> Result<(), String> {
    let answer =
        Answer::decode(bytes).map_err(|error| format!("it answers no message: {error}"))?;
    match (answer.ok, answer.error) {
        (Some(false), error) | (_, error @ Some(_)) => {
            Err(error.unwrap_or_else(|| "no reason given".to_owned()))
        }
        (Some(true) | None, None) => Ok(()),
    }
}
