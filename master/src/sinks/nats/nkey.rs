//! Credentials of NATS: a signed statement of who a user is (a JWT), and the seed of the key that shows
//! it; or a seed alone, whose public key the server knows.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair};

/// What a file of credentials has.
#[derive(Clone)]
pub(super) struct Creds {
    jwt: Option<String>,
    seed: [u8; 32],
}

impl std::fmt::Debug for Creds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Creds")
    }
}

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// What public keys of users begin with, so that they read `U...`.
const USER: u8 = 20 << 3;
/// What seeds begin with: `S`, then five bits of whose key it is.
const SEED: u8 = 18 << 3;

/// A login as members of the message `CONNECT`.
pub(super) struct Login {
    /// `jwt` or `nkey`, and its value.
    pub(super) who: (&'static str, String),
    /// The signature of what the server asked to be signed.
    pub(super) signature: String,
}

impl Creds {
    /// Reads a file of credentials, or a seed.
    ///
    /// # Errors
    /// A sentence, without what it has.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let lines = || text.lines().map(str::trim);
        let jwt = lines().find(|line| line.starts_with("eyJ")).map(str::to_owned);
        let seed = lines().find(|line| line.starts_with('S') && line.len() == 58);
        let seed = seed.ok_or("it has no seed of a user's key")?;
        let bytes = decode(seed).ok_or("its seed cannot be read")?;
        let whole = bytes.len() == 36 && bytes[0] & 0xf8 == SEED;
        let (body, checksum) = bytes.split_at_checked(34).ok_or("its seed cannot be read")?;
        if !whole || checksum != crc16(body).to_le_bytes() {
            return Err("its seed cannot be read".to_owned());
        }
        let seed = body[2..].try_into().map_err(|_| "its seed cannot be read")?;
        Ok(Self { jwt, seed })
    }

    /// A login to a server that asks for a signature of this.
    ///
    /// # Errors
    /// A sentence, when the seed is none.
    pub(super) fn login(&self, nonce: &str) -> Result<Login, String> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&self.seed);
        let pair = pair.map_err(|_| "the seed of `creds` makes no key".to_owned())?;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(pair.sign(nonce.as_bytes()));
        let who = match &self.jwt {
            Some(jwt) => ("jwt", jwt.clone()),
            None => ("nkey", public(pair.public_key().as_ref())),
        };
        Ok(Login { who, signature })
    }
}

fn public(key: &[u8]) -> String {
    let mut bytes = vec![USER];
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&crc16(&bytes).to_le_bytes());
    encode(&bytes)
}

fn encode(bytes: &[u8]) -> String {
    let (mut out, mut bits, mut count) = (String::new(), 0_u32, 0);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            out.push(char::from(ALPHABET[(bits >> count) as usize & 31]));
        }
    }
    if count > 0 {
        out.push(char::from(ALPHABET[(bits << (5 - count)) as usize & 31]));
    }
    out
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == byte)?;
        bits = (bits << 5) | u32::try_from(value).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

/// CRC-16 as XMODEM has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ (u16::from(*byte) << 8), |sum, _| {
            if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

    /// The key of the example in NATS's documentation.
    #[test]
    fn a_seed_has_the_published_public_key() {
        let creds = Creds::parse(&format!("# of a test\n{SEED}\n")).unwrap();
        let login = creds.login("nonce").unwrap();
        let key = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
        assert_eq!(login.who, ("nkey", key.to_owned()));
        assert_eq!(login.signature.len(), 86);
    }

    #[test]
    fn a_file_of_credentials_has_a_statement_and_a_seed() {
        let text = format!("-----BEGIN NATS USER JWT-----\neyJhbGciOi.x.y\n------END\n\n{SEED}\n");
        let login = Creds::parse(&text).unwrap().login("n").unwrap();
        assert_eq!(login.who, ("jwt", "eyJhbGciOi.x.y".to_owned()));
        let broken = SEED.replace("SL3", "SL4");
        for text in ["", "eyJ", broken.as_str(), &"S".repeat(58), &"S1".repeat(29)] {
            let error = Creds::parse(text).unwrap_err();
            assert!(error.contains("seed") && !error.contains("SL4"), "{error}");
        }
    }
}
