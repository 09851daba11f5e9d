//! The two text formats, a piece at a time.

use bytes::Bytes;

use super::snapshot::{FamilyFields, Snapshot};
use crate::prometheus::Family;

/// Size of a piece, about.
const CHUNK_BYTES: usize = 64 << 10;

/// A text format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    /// The text format 0.0.4 of Prometheus.
    Plain,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The format for who accepts this.
    pub(super) fn accepted(accept: Option<&str>) -> Self {
        let mut kinds = accept.unwrap_or_default().split(',').map(|kind| kind.to_ascii_lowercase());
        let is_open = |kind: String| {
            kind.trim().starts_with("application/openmetrics-text")
                && (!kind.contains("version=") || kind.contains("version=1."))
        };
        if kinds.any(is_open) { Self::OpenMetrics } else { Self::Plain }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What is left to write.
#[derive(Debug)]
pub(super) struct Text {
    snapshot: Snapshot,
    format: Format,
    timestamps: bool,
    families: std::vec::IntoIter<FamilyFields>,
    /// The family that is being written, and its next field and row.
    at: Option<(FamilyFields, usize, usize)>,
    ended: bool,
}

impl Text {
    pub(super) fn new(snapshot: Snapshot, format: Format, timestamps: bool) -> Self {
        let families = snapshot.families().into_iter();
        Self { snapshot, format, timestamps, families, at: None, ended: false }
    }

    /// The next piece.
    pub(super) fn next_chunk(&mut self) -> Option<Bytes> {
        let mut out = Vec::with_capacity(CHUNK_BYTES + 4096);
        while out.len() < CHUNK_BYTES && !self.ended {
            match self.at.take() {
                Some((family, field, row)) => self.write(family, field, row, &mut out),
                None => match self.families.next() {
                    Some(family) => self.at = Some((family, 0, 0)),
                    None => self.end(&mut out),
                },
            }
        }
        (!out.is_empty()).then(|| out.into())
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.ended = true;
        if self.format == Format::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
    }

    /// Writes rows of a field until the piece is full; says in `at` where to go on.
    fn write(&mut self, fields: FamilyFields, mut at: usize, row: usize, out: &mut Vec<u8>) {
        let mut next_row = row;
        if (at, row) == (0, 0) {
            self.head(&fields.family, out);
        }
        while let Some(field) = fields.fields.get(at) {
            let group = &self.snapshot.groups[field.group];
            for row in &group.rows[next_row..] {
                next_row += 1;
                let Some(value) = row.value(field, group.layout(), &fields.family) else {
                    continue;
                };
                out.extend_from_slice(fields.family.name.as_bytes());
                out.push(b'{');
                row.labels(field, out);
                if out.last() == Some(&b',') {
                    out.pop();
                }
                out.extend_from_slice(b"} ");
                number(value, out);
                if self.timestamps {
                    out.push(b' ');
                    self.time(row.time_ms, out);
                }
                out.push(b'\n');
                if out.len() >= CHUNK_BYTES {
                    self.at = Some((fields, at, next_row));
                    return;
                }
            }
            (at, next_row) = (at + 1, 0);
        }
    }

    fn head(&self, family: &Family, out: &mut Vec<u8>) {
        let Family { name, help, unit, .. } = family;
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let text = match self.format {
            Format::Plain => {
                format!("# HELP {name} {help}\n# TYPE {name} {}\n", family.kind())
            }
            Format::OpenMetrics => {
                let (name, help) = (name.trim_end_matches("_total"), help.replace('"', "\\\""));
                let unit = match *unit {
                    "" => String::new(),
                    unit => format!("# UNIT {name} {unit}\n"),
                };
                format!("# TYPE {name} {}\n{unit}# HELP {name} {help}\n", family.kind())
            }
        };
        out.extend_from_slice(text.as_bytes());
    }

    /// Milliseconds in the one format, seconds in the other.
    fn time(&self, time_ms: i64, out: &mut Vec<u8>) {
        match self.format {
            Format::Plain => {
                out.extend_from_slice(itoa::Buffer::new().format(time_ms).as_bytes());
            }
            Format::OpenMetrics => {
                let (seconds, ms) = (time_ms.div_euclid(1000), time_ms.rem_euclid(1000));
                out.extend_from_slice(format!("{seconds}.{ms:03}").as_bytes());
            }
        }
    }
}

fn number(value: f64, out: &mut Vec<u8>) {
    if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
        return;
    }
    let mut digits = ryu::Buffer::new();
    let text = digits.format(value);
    out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
}

/// Appends a label with a comma behind.
pub(super) fn append_label(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    for byte in value.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            byte => out.push(byte),
        }
    }
    out.extend_from_slice(b"\",");
}
