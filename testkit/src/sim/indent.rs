//! JSON laid out as Go's `json.MarshalIndent(value, "", " ")` does it, which is how kubelets answer: each
//! member and each item on a line of its own, behind one space for each level.
//!
//! The layout is worked out when this program is compiled, so that an answer costs the copying of
//! its bytes and no more.

/// A piece of a document, laid out for the depth at which it begins.
pub(super) struct Piece {
    bytes: [u8; Piece::ROOM],
    length: usize,
}

impl Piece {
    /// The most bytes that a piece may have.
    const ROOM: usize = 256;

    /// Lays out a piece of JSON without white space. `depth` is the number of objects and lists that
    /// are open where it begins. An empty object or list must be in one piece.
    ///
    /// # Panics
    /// When the piece is too long; in a constant, where pieces belong, the compiler says so.
    pub(super) const fn new(depth: usize, plain: &str) -> Self {
        let plain = plain.as_bytes();
        let mut piece = Self { bytes: [0; Self::ROOM], length: 0 };
        let (mut depth, mut quoted, mut at) = (depth, false, 0);
        while at < plain.len() {
            let byte = plain[at];
            match byte {
                b'"' => {
                    quoted = !quoted;
                    piece.push(byte);
                }
                _ if quoted => piece.push(byte),
                b'{' | b'[' if at + 1 < plain.len() && is_end(plain[at + 1]) => {
                    piece.push(byte);
                    at += 1;
                    piece.push(plain[at]);
                }
                b'{' | b'[' => {
                    depth += 1;
                    piece.push(byte);
                    piece.begin_line(depth);
                }
                b'}' | b']' => {
                    depth -= 1;
                    piece.begin_line(depth);
                    piece.push(byte);
                }
                b',' => {
                    piece.push(byte);
                    piece.begin_line(depth);
                }
                b':' => {
                    piece.push(byte);
                    piece.push(b' ');
                }
                _ => piece.push(byte),
            }
            at += 1;
        }
        piece
    }

    const fn push(&mut self, byte: u8) {
        assert!(self.length < Self::ROOM, "the piece is too long: write it as two");
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    const fn begin_line(&mut self, depth: usize) {
        self.push(b'\n');
        let mut spaces = 0;
        while spaces < depth {
            self.push(b' ');
            spaces += 1;
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

const fn is_end(byte: u8) -> bool {
    matches!(byte, b'}' | b']')
}

/// Appends a piece that begins at a depth, both of them constants; then a number, where there is one.
macro_rules! put {
    ($out:expr, $depth:expr, $plain:expr) => {
        $out.extend_from_slice(
            const { &$crate::sim::indent::Piece::new($depth, $plain) }.as_bytes(),
        )
    };
    ($out:expr, $depth:expr, $plain:expr, $number:expr) => {{
        put!($out, $depth, $plain);
        $crate::sim::json::number($out, "", $number);
    }};
}

pub(super) use put;

#[cfg(test)]
mod tests {
    use super::*;

    /// As in recorded answers; what is in quotes stays as it is.
    #[test]
    fn pieces_are_laid_out_as_go_does() {
        for (depth, plain, expected) in [
            (0, r#"{"node":{"nodeName":"#, "{\n \"node\": {\n  \"nodeName\": "),
            (3, r#","cpu":{"time":"#, ",\n   \"cpu\": {\n    \"time\": "),
            (4, "}", "\n   }"),
            (2, r#"}],"pods":[{"#, "\n }\n],\n\"pods\": [\n {\n  "),
            (1, r#"{"a":[],"b":{}}"#, "{\n  \"a\": [],\n  \"b\": {}\n }"),
            (1, r#""a,b:{c}":null"#, r#""a,b:{c}": null"#),
        ] {
            let piece = Piece::new(depth, plain);
            assert_eq!(std::str::from_utf8(piece.as_bytes()).unwrap(), expected);
        }
    }
}
