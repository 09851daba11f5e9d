//! What somebody who connects shows of himself.

use std::{fmt, sync::Arc};

use heapster_shared::access::{Token, TokenHash};
use rustls::pki_types::CertificateDer;

/// Longest header that can have a token in it.
const MAX_HEADER_BYTES: usize = 1024;

/// A certificate, a token, both, or nothing; not yet looked at.
#[derive(Clone, Default)]
pub struct Shown {
    /// The client's certificates, of which it has the key.
    pub chain: Option<Arc<[CertificateDer<'static>]>>,
    /// The token; an error where the header that should have it cannot be read.
    pub token: Option<Result<TokenHash, &'static str>>,
    /// It connects from within this process.
    pub is_within: bool,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

/// The hash of the token in a header `authorization: Bearer TOKEN`, given as bytes.
///
/// # Errors
/// What is wrong with the header, without its content.
pub fn bearer(header: &[u8]) -> Result<TokenHash, &'static str> {
    let wrong = "the header `authorization` has to be `Bearer` and a token";
    if header.len() > MAX_HEADER_BYTES {
        return Err(wrong);
    }
    let text = std::str::from_utf8(header).map_err(|_| wrong)?;
    let (scheme, token) = text.split_once(' ').ok_or(wrong)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(wrong);
    }
    Token::new(token).map(|token| token.hash()).map_err(|_| wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_from_the_header() {
        let hash = Token::new("abc").unwrap().hash();
        assert_eq!(bearer(b"Bearer abc"), Ok(hash));
        assert_eq!(bearer(b"bearer  abc"), Ok(hash));
        for header in
            [b"".as_slice(), b"abc", b"Basic abc", b"Bearer ", b"Bearer a b", b"Bearer \xff"]
        {
            assert!(bearer(header).is_err(), "{header:?}");
        }
        assert!(bearer(format!("Bearer {}", "a".repeat(2000)).as_bytes()).is_err());
    }
}
