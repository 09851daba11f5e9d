//! A bearer token from a file that is rewritten now and then.
//!
//! Not left to the client, which takes the line's end at the end of a file for a part of the token.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hyper::header::HeaderValue;
use tokio::time::Instant;

/// Kubernetes rewrites the tokens of pods long before they expire.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// A file with a token.
pub(super) struct TokenFile {
    path: PathBuf,
    newest: Mutex<(HeaderValue, Instant)>,
}

impl TokenFile {
    /// Reads a file.
    ///
    /// # Errors
    /// A sentence, when there is no token in it.
    pub(super) fn open(path: PathBuf) -> Result<Self, String> {
        let header =
            read(&path).map_err(|error| format!("token file {}: {error}", path.display()))?;
        Ok(Self { path, newest: Mutex::new((header, Instant::now())) })
    }

    /// The value of the header `Authorization`. A file that cannot be read any more leaves the token
    /// that it had.
    pub(super) fn header(&self) -> HeaderValue {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.1.elapsed() >= READ_AGAIN_AFTER {
            let header = read(&self.path).unwrap_or_else(|_| newest.0.clone());
            *newest = (header, Instant::now());
        }
        newest.0.clone()
    }
}

fn read(path: &Path) -> Result<HeaderValue, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let token = text.trim();
    if token.is_empty() {
        return Err("it is empty".to_owned());
    }
    let header = HeaderValue::try_from(format!("Bearer {token}"));
    let mut header = header.map_err(|_| "there is more in it than a token".to_owned())?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new token is noticed within a minute, and a file that is gone is no reason to forget one.
    #[tokio::test(start_paused = true)]
    async fn a_token_follows_its_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "one\n").unwrap();
        let token = TokenFile::open(file.path().to_owned()).unwrap();
        assert_eq!(token.header(), "Bearer one");
        assert!(!format!("{:?}", token.header()).contains("one"));
        std::fs::write(file.path(), "two").unwrap();
        assert_eq!(token.header(), "Bearer one");
        tokio::time::advance(READ_AGAIN_AFTER).await;
        assert_eq!(token.header(), "Bearer two");
        drop(file);
        tokio::time::advance(READ_AGAIN_AFTER).await;
        assert_eq!(token.header(), "Bearer two");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, expected) in [(" \n", "it is empty"), ("a\nb", "more in it than a token")] {
            std::fs::write(file.path(), text).unwrap();
            let error = TokenFile::open(file.path().to_owned()).err().unwrap();
            assert!(error.contains(expected), "{error}");
        }
    }
}
