//! Tokens, and their hashes, which are all that a master keeps of them.

use std::{fmt, str::FromStr};

use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};
use subtle::ConstantTimeEq as _;

use crate::secret::Secret;

/// Tells a token from other secrets, so that one that was published by mistake can be searched for.
const PREFIX: &str = "heapster_";
const ALGORITHM: &str = "sha256:";
const BYTES: usize = 32;

/// A secret that says who connects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token(Secret);

impl Token {
    /// A new one, of 256 random bits.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate() -> Result<Self, String> {
        let mut bytes = [0; BYTES];
        let filled = SystemRandom::new().fill(&mut bytes);
        filled.map_err(|_| "this system gives no random numbers".to_owned())?;
        Ok(Self(Secret::from(format!("{PREFIX}{}", hex(&bytes)))))
    }

    /// A text that somebody shows or has in a file.
    ///
    /// # Errors
    /// What is wrong with it: whatever could end the header that it is written into.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Err("is empty");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("has a character that no token has");
        }
        Ok(Self(Secret::from(text.to_owned())))
    }

    /// The token itself, for the one place that sends or prints it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        let digest = digest(&SHA256, self.0.expose().as_bytes());
        let mut bytes = [0; BYTES];
        bytes.copy_from_slice(digest.as_ref());
        TokenHash(bytes)
    }
}

/// The SHA-256 of a token, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; BYTES]);

impl PartialEq for TokenHash {
    /// In the same time, wherever two differ.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl FromStr for TokenHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "a token's hash is `sha256:` and 64 hexadecimal digits, as `heapster token new` writes it; a token itself does not belong here"
                .to_owned()
        };
        let digits = text.strip_prefix(ALGORITHM).ok_or_else(wrong)?.as_bytes();
        let mut bytes = [0; BYTES];
        if digits.len() != 2 * BYTES {
            return Err(wrong());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16).ok_or_else(wrong);
            *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}{}", hex(&self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash of `sha256sum`, so that a file can be written without this program.
    #[test]
    fn a_hash_is_that_of_the_text() {
        let hash = Token::new(" abc\n").unwrap().hash();
        let wanted = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), wanted);
        assert!(wanted.parse::<TokenHash>().unwrap() == hash);
        assert!(wanted.to_uppercase().replace("SHA", "sha").parse::<TokenHash>().unwrap() == hash);
        assert!(hash != Token::new("abd").unwrap().hash());
    }

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.expose().len(), PREFIX.len() + 64);
        assert_eq!(Token::new(one.expose()).unwrap(), one);
        assert!(!format!("{one:?} {:?}", one.hash()).contains(&one.expose()[PREFIX.len()..]));
    }

    #[test]
    fn what_is_no_hash_is_told_without_repeating_it() {
        for text in ["", "abc", "sha256:12", "md5:ba7816", &format!("sha256:{}", "ü".repeat(32))] {
            let error = text.parse::<TokenHash>().unwrap_err();
            assert!(error.contains("heapster token new"), "{error}");
        }
        let secret = "heapster_0123456789";
        assert!(!secret.parse::<TokenHash>().unwrap_err().contains("0123456789"));
        assert_eq!(Token::new(" \n").unwrap_err(), "is empty");
        assert!(Token::new("a\r\nb: c").is_err());
    }
}
