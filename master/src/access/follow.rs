//! Files that others write anew while the master runs: its certificate, the authority of clients, and
//! the credentials.
//!
//! What they say is read again every [`LOOK_EVERY`] and compared. A change takes effect for who
//! connects from then on; sessions whose credential is gone end. What cannot be used is told once
//! and changes nothing, such as a certificate that was written before its key.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use heapster_shared::{
    access::{Credentials, MAX_FILE_BYTES},
    tls::{ClientTrust, KeyFiles, KeyText},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Rules, ServerCertificate};

/// How often the files are looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The files, and what they said last.
#[derive(Default)]
pub(super) struct Follow {
    certificate: Option<(Watched<KeyText>, KeyFiles, Arc<ServerCertificate>)>,
    client_ca: Option<(Watched<Vec<u8>>, PathBuf)>,
    credentials: Option<(Watched<Vec<u8>>, PathBuf)>,
}

/// What was read last, or why it could not be.
struct Watched<T>(Result<T, String>);

impl<T: PartialEq> Watched<T> {
    /// Notes what was read now; gives it where it is something else than before.
    fn changed(&mut self, now: Result<T, String>) -> Option<Result<&T, String>> {
        if self.0 == now {
            return None;
        }
        self.0 = now;
        Some(self.0.as_ref().map_err(Clone::clone))
    }
}

impl Follow {
    pub(super) fn certificate(
        &mut self,
        files: KeyFiles,
        text: KeyText,
        shown: Arc<ServerCertificate>,
    ) {
        self.certificate = Some((Watched(Ok(text)), files, shown));
    }

    pub(super) fn client_ca(&mut self, path: PathBuf, text: Vec<u8>) {
        self.client_ca = Some((Watched(Ok(text)), path));
    }

    pub(super) fn credentials(&mut self, path: PathBuf, text: Vec<u8>) {
        self.credentials = Some((Watched(Ok(text)), path));
    }

    /// Looks at the files until it is stopped.
    pub(super) async fn run(mut self, rules: &watch::Sender<Arc<Rules>>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
            let old = Arc::clone(&rules.borrow());
            // Disks take their time, now and then.
            let looked = tokio::task::spawn_blocking(move || {
                let new = self.look(&old);
                (self, new)
            });
            let Ok((follow, new)) = looked.await else { return };
            self = follow;
            if let Some(new) = new {
                rules.send_replace(Arc::new(new));
            }
        }
    }

    /// Reads the files; gives the new rules where there are some.
    fn look(&mut self, old: &Rules) -> Option<Rules> {
        if let Some((watched, files, shown)) = &mut self.certificate {
            let parsed = watched.changed(files.read()).map(|text| files.parse(text?));
            if let Some(key) = taken("--tls-cert, --tls-key", parsed) {
                shown.replace(key);
            }
        }
        let clients = self.client_ca.as_mut().and_then(|(watched, path)| {
            let parsed = watched.changed(read(path)).map(|text| ClientTrust::parse(path, text?));
            taken("--tls-client-ca", parsed)
        });
        let credentials = self.credentials.as_mut().and_then(|(watched, path)| {
            let parsed = watched.changed(read(path)).map(|text| credentials(path, text?));
            taken("--credentials", parsed)
        });
        if clients.is_none() && credentials.is_none() {
            return None;
        }
        let mut rules = old.clone();
        if clients.is_some() {
            rules.clients = clients;
        }
        if let Some(credentials) = credentials {
            super::warn_if_empty(&credentials);
            rules.credentials = Some(credentials);
        }
        Some(rules)
    }
}

/// Tells what became of a change.
fn taken<T>(option: &'static str, changed: Option<Result<T, String>>) -> Option<T> {
    match changed? {
        Ok(new) => {
            tracing::info!(option, "took over a file that has changed");
            Some(new)
        }
        Err(error) => {
            tracing::warn!(
                option,
                error,
                "a file that has changed cannot be used; what it said before stays in force"
            );
            None
        }
    }
}

/// A file's bytes, where they are not too many.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error| format!("cannot read {}: {error}", path.display());
    if fs::metadata(path).map_err(failed)?.len() > MAX_FILE_BYTES {
        return Err(format!("{} is larger than {MAX_FILE_BYTES} bytes", path.display()));
    }
    fs::read(path).map_err(failed)
}

/// The credentials in a file's bytes.
pub(super) fn credentials(path: &Path, bytes: &[u8]) -> Result<Credentials, String> {
    let name = path.display().to_string();
    let text = std::str::from_utf8(bytes);
    Credentials::parse(text.map_err(|_| format!("{name} is no text in UTF-8"))?, &name)
}

#[cfg(test)]
mod tests {
    use heapster_shared::access::Token;

    use super::*;

    /// A new file counts, a broken or missing one does not, and the last good one stays meanwhile.
    #[test]
    fn credentials_are_taken_over_when_they_are_good() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials.toml");
        let hash = Token::new("abc").unwrap().hash();
        let entry = format!("[[credential]]\nname = 'lab'\ntoken = '{hash}'\nclusters = ['a']\n");
        fs::write(&path, "").unwrap();
        let mut follow = Follow::default();
        follow.credentials(path.clone(), read(&path).unwrap());
        let mut rules = Rules { credentials: Some(Credentials::default()), ..Rules::default() };
        let mut knows = || {
            if let Some(new) = follow.look(&rules) {
                rules = new;
            }
            rules.credentials.as_ref().unwrap().of_token(&hash).is_some()
        };
        assert!(!knows());
        fs::write(&path, &entry).unwrap();
        assert!(knows());
        fs::write(&path, format!("{entry}oops")).unwrap();
        assert!(knows());
        fs::remove_file(&path).unwrap();
        assert!(knows());
        fs::write(&path, "").unwrap();
        assert!(!knows());
    }

    /// The same trouble is told once.
    #[test]
    fn what_did_not_change_is_not_looked_at_again() {
        let mut watched = Watched(Ok(1));
        assert_eq!(watched.changed(Ok(1)), None);
        assert_eq!(watched.changed(Err("gone".into())), Some(Err("gone".into())));
        assert_eq!(watched.changed(Err("gone".into())), None);
        assert_eq!(watched.changed(Ok(1)), Some(Ok(&1)));
    }
}
