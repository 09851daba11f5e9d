//! SCRAM, RFC 5802: both sides show that they know the password, and none says it.

use std::num::NonZeroU32;

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use ring::{digest, hmac, pbkdf2};

/// The hash that a mechanism goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Hash {
    Sha256,
    Sha512,
}

/// More rounds than this would let a peer keep a thread busy.
const MOST_ROUNDS: u32 = 1_000_000;

/// A login under way.
pub(in super::super) struct Scram {
    hash: Hash,
    password: String,
    nonce: String,
    /// The first message without its header.
    first_bare: String,
    /// What the server is to sign.
    expected: Option<String>,
}

impl Scram {
    /// A login with a nonce that was never used before.
    pub(in super::super) fn new(hash: Hash, user: &str, password: &str, nonce: &str) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self {
            hash,
            password: password.to_owned(),
            nonce: nonce.to_owned(),
            first_bare: format!("n={user},r={nonce}"),
            expected: None,
        }
    }

    /// The first message.
    pub(in super::super) fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The second message, after the server's first.
    ///
    /// # Errors
    /// A sentence, when the server's is not what the mechanism asks for.
    pub(in super::super) fn last(&mut self, server_first: &str) -> Result<String, String> {
        let (nonce, salt, rounds) = self.challenge(server_first)?;
        let salted = self.salted(&salt, rounds);
        let key = self.sign(&salted, b"Client Key");
        let stored = digest::digest(self.digest(), &key);
        let bare = format!("c=biws,r={nonce}");
        let signed = format!("{},{server_first},{bare}", self.first_bare);
        let signature = self.sign(stored.as_ref(), signed.as_bytes());
        let proof: Vec<u8> = key.iter().zip(&signature).map(|(key, sign)| key ^ sign).collect();
        let server_key = self.sign(&salted, b"Server Key");
        self.expected = Some(BASE64.encode(self.sign(&server_key, signed.as_bytes())));
        Ok(format!("{bare},p={}", BASE64.encode(proof)))
    }

    /// Whether the server knows the password too, by its last message.
    pub(in super::super) fn is_true(&self, server_last: &str) -> bool {
        let told = server_last.split(',').find_map(|part| part.strip_prefix("v="));
        told.is_some() && told == self.expected.as_deref()
    }

    fn challenge<'a>(&self, server: &'a str) -> Result<(&'a str, Vec<u8>, NonZeroU32), String> {
        let part = |name: &str| server.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = part("r=").filter(|nonce| nonce.starts_with(&self.nonce));
        let salt = part("s=").and_then(|salt| BASE64.decode(salt).ok());
        let rounds = part("i=").and_then(|rounds| rounds.parse::<NonZeroU32>().ok());
        let rounds = rounds.filter(|rounds| rounds.get() <= MOST_ROUNDS);
        match (nonce, salt, rounds) {
            (Some(nonce), Some(salt), Some(rounds)) => Ok((nonce, salt, rounds)),
            _ => Err("the challenge of its SCRAM is none".to_owned()),
        }
    }

    fn salted(&self, salt: &[u8], rounds: NonZeroU32) -> Vec<u8> {
        let (algorithm, bytes) = match self.hash {
            Hash::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, digest::SHA256_OUTPUT_LEN),
            Hash::Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, digest::SHA512_OUTPUT_LEN),
        };
        let mut out = vec![0; bytes];
        pbkdf2::derive(algorithm, rounds, salt, self.password.as_bytes(), &mut out);
        out
    }

    fn sign(&self, key: &[u8], text: &[u8]) -> Vec<u8> {
        let algorithm = match self.hash {
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), text).as_ref().to_vec()
    }

    fn digest(&self) -> &'static digest::Algorithm {
        match self.hash {
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha512 => &digest::SHA512,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                                s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    /// The exchange that RFC 7677 has as its example.
    #[test]
    fn the_example_of_the_standard() {
        let mut scram = Scram::new(Hash::Sha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let last = scram.last(SERVER_FIRST).unwrap();
        assert!(last.ends_with("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), "{last}");
        assert!(scram.is_true("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!scram.is_true("v=AAAA") && !scram.is_true("e=other-error"));
    }

    /// A server that never knew our nonce, or would have us reckon for minutes, is no server of ours.
    #[test]
    fn challenges_that_are_none_are_refused() {
        for challenge in ["", "r=else,s=AA==,i=1", "r=mine1,s=?,i=1", "r=mine1,s=AA==,i=99999999"] {
            let mut scram = Scram::new(Hash::Sha512, "a,b=c", "x", "mine");
            assert!(scram.first().contains("n=a=2Cb=3Dc,"));
            assert!(scram.last(challenge).is_err(), "{challenge}");
            assert!(!scram.is_true("v="));
        }
    }
}
