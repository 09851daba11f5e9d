//! The token that says who asks. Service accounts' tokens live an hour, and the file has the next
//! one in time.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use heapster_shared::secret::Secret;

use crate::rotated::{LookedAt, Stamp, read};

/// Where the token is.
#[derive(Debug)]
pub(crate) enum Token {
    /// It never changes.
    Fixed(Arc<Secret>),
    /// In a file, which is read again when it changes.
    InFile { path: PathBuf, interval: Duration, known: Mutex<Option<Known>> },
}

/// What the file had.
#[derive(Debug)]
pub(crate) struct Known {
    looked_at: LookedAt,
    stamp: Option<Stamp>,
    token: Arc<Secret>,
}

impl Token {
    /// The token in a file, looked at no more often than this.
    pub(crate) fn in_file(path: &Path, interval: Duration) -> Self {
        Self::InFile { path: path.to_owned(), interval, known: Mutex::default() }
    }

    /// The token as it is now.
    ///
    /// # Errors
    /// A sentence, when there is no token yet. One that was read stays when the file goes.
    pub(crate) fn current(&self) -> Result<Arc<Secret>, String> {
        let (path, interval, known) = match self {
            Self::Fixed(token) => return Ok(Arc::clone(token)),
            Self::InFile { path, interval, known } => (path, *interval, known),
        };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(old) = &mut *known else {
            // Looked at before it is read: a change in between is seen the next time.
            let stamp = Stamp::of(path);
            let token = read_token(path)?;
            *known = Some(Known { looked_at: LookedAt::now(), stamp, token: Arc::clone(&token) });
            return Ok(token);
        };
        if old.looked_at.is_due(interval) {
            let stamp = Stamp::of(path);
            if stamp != old.stamp {
                match read_token(path) {
                    Ok(token) => (old.token, old.stamp) = (token, stamp),
                    Err(error) => tracing::warn!(%error, "keeping the old token"),
                }
            }
        }
        Ok(Arc::clone(&old.token))
    }
}

fn read_token(path: &Path) -> Result<Arc<Secret>, String> {
    checked(&read(path)?).map_err(|wrong| format!("the token in {} {wrong}", path.display()))
}

/// A text as a token.
///
/// # Errors
/// What is wrong with it: whatever could end the header that it is written into.
pub(crate) fn checked(text: &str) -> Result<Arc<Secret>, &'static str> {
    let token = text.trim();
    if token.is_empty() {
        return Err("is empty");
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has a character that no token has");
    }
    Ok(Arc::new(Secret::from(token.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The new token is seen, a file that goes or is half written keeps the old one.
    #[test]
    fn a_token_is_read_again_when_it_changes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let token = Token::in_file(file.path(), Duration::ZERO);
        let error = token.current().unwrap_err();
        assert!(error.contains("is empty") && error.contains(file.path().to_str().unwrap()));
        for text in ["one", "second\n", "3"] {
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(token.current().unwrap().expose(), text.trim());
        }
        std::fs::write(file.path(), "x\r\ny: z").unwrap();
        assert_eq!(token.current().unwrap().expose(), "3");
        std::fs::remove_file(file.path()).unwrap();
        assert_eq!(token.current().unwrap().expose(), "3");
        assert!(format!("{token:?}").contains("***"));
    }

    /// The file is left alone in between.
    #[test]
    fn a_token_is_not_looked_for_all_the_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "one").unwrap();
        let token = Token::in_file(file.path(), Duration::from_secs(3600));
        assert_eq!(token.current().unwrap().expose(), "one");
        std::fs::write(file.path(), "second").unwrap();
        assert_eq!(token.current().unwrap().expose(), "one");
    }
}
