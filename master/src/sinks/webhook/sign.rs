//! The signature of a request, and its number.

use std::{fmt::Write, fs, path::PathBuf};

use heapster_shared::secret::Secret;
use reqwest::header::HeaderName;
use ring::{digest, hmac};

use super::options::Options;
use crate::sinks::SinkError;

/// Signs requests, if there is a secret.
#[derive(Debug)]
pub(super) struct Signer {
    header: HeaderName,
    source: Source,
}

#[derive(Debug)]
enum Source {
    None,
    Given(Secret),
    File(PathBuf),
}

impl Signer {
    pub(super) fn new(options: &Options) -> Result<Self, String> {
        let header = options.signature_header.parse().map_err(|_| {
            format!("signature_header: `{}` is no name of a header", options.signature_header)
        })?;
        let source = match (&options.secret, &options.secret_file) {
            (secret, None) if secret.is_empty() => Source::None,
            (secret, None) => Source::Given(secret.clone()),
            (secret, Some(path)) if secret.is_empty() => Source::File(path.clone()),
            _ => return Err("give `secret` or `secret_file`, not both".to_owned()),
        };
        Ok(Self { header, source })
    }

    /// The header that a body is signed with.
    ///
    /// # Errors
    /// When the file of the secret cannot be read, which may be put right while events wait.
    pub(super) fn signature(
        &self,
        body: &[u8],
    ) -> Result<Option<(&HeaderName, String)>, SinkError> {
        let signature = match &self.source {
            Source::None => return Ok(None),
            Source::Given(secret) => sign(secret.expose(), body),
            Source::File(path) => {
                let failed = |why: String| SinkError::Transient {
                    message: format!("`secret_file` {}: {why}", path.display()),
                    retry_after: None,
                };
                let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
                let secret = text.lines().next().unwrap_or_default().trim();
                if secret.is_empty() {
                    return Err(failed("is empty".to_owned()));
                }
                sign(secret, body)
            }
        };
        Ok(Some((&self.header, signature)))
    }
}

fn sign(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", hex(hmac::sign(&key, body).as_ref()))
}

/// A number that follows from the bytes of a request: the same for one that is sent again.
pub(super) fn number(body: &[u8]) -> String {
    hex(&digest::digest(&digest::SHA256, body).as_ref()[..16])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second test case of RFC 4231.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign("Jefe", b"what do ya want for nothing?"), expected);
        // SHA-256 of nothing, as everybody knows it.
        assert_eq!(number(b""), "e3b0c44298fc1c149afbf4c8996fb924");
    }

    #[test]
    fn a_secret_from_a_file_is_read_each_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let secret_file = Some(file.path().to_owned());
        let signer = Signer::new(&Options { secret_file, ..Options::default() }).unwrap();
        let error = signer.signature(b"x").unwrap_err();
        assert!(error.to_string().contains("is empty"), "{error}");
        for secret in ["one", "two"] {
            fs::write(file.path(), format!("{secret}\n")).unwrap();
            let (_, signature) = signer.signature(b"x").unwrap().unwrap();
            assert_eq!(signature, sign(secret, b"x"));
        }
    }
}
