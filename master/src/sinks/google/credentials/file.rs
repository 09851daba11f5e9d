//! Files with credentials, as Google's console and tools write them.

use std::path::{Path, PathBuf};

use heapster_shared::secret::Secret;
use serde::Deserialize;

/// Such a file.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Form {
    ServiceAccount(ServiceAccount),
    AuthorizedUser(User),
    ExternalAccount(Federated),
}

/// A service account's key.
#[derive(Debug, Deserialize)]
pub(super) struct ServiceAccount {
    #[serde(default)]
    project_id: Option<String>,
    #[serde(default)]
    pub(super) private_key_id: String,
    /// In PEM.
    pub(super) private_key: Secret,
    pub(super) client_email: String,
    #[serde(default = "token_uri")]
    pub(super) token_uri: String,
}

/// What `gcloud auth application-default login` leaves.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    pub(super) refresh_token: Secret,
    #[serde(default = "token_uri")]
    pub(super) token_uri: String,
    #[serde(default)]
    pub(super) quota_project_id: Option<String>,
}

/// An account of somebody else's that Google trusts: workload identity federation.
#[derive(Debug, Deserialize)]
pub(super) struct Federated {
    pub(super) audience: String,
    pub(super) subject_token_type: String,
    pub(super) token_url: String,
    pub(super) credential_source: Source,
    /// Where to ask for a token of a service account with that.
    #[serde(default)]
    pub(super) service_account_impersonation_url: Option<String>,
    #[serde(default)]
    pub(super) quota_project_id: Option<String>,
}

/// Where the token of somebody else's is.
#[derive(Debug, Deserialize)]
pub(super) struct Source {
    file: PathBuf,
    #[serde(default)]
    format: Format,
}

#[derive(Debug, Default, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format {
    #[default]
    Text,
    Json {
        subject_token_field_name: String,
    },
}

fn token_uri() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

impl Form {
    /// Reads a file.
    ///
    /// # Errors
    /// A sentence with its path.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read(path)
            .map_err(|error| format!("cannot read the credentials {}: {error}", path.display()))?;
        serde_json::from_slice(&text).map_err(|error| {
            format!("the credentials {} cannot be used: {}", path.display(), harmless(&error))
        })
    }

    /// The project that it names.
    pub(super) fn project(self) -> Option<String> {
        match self {
            Self::ServiceAccount(account) => account.project_id,
            Self::AuthorizedUser(user) => user.quota_project_id,
            Self::ExternalAccount(account) => account.quota_project_id,
        }
    }
}

/// What is wrong, without what stands there.
fn harmless(error: &serde_json::Error) -> String {
    let says = error.to_string();
    if says.starts_with("missing field `file`") {
        return "only a token in a file can be exchanged (`credential_source` with `file`)".into();
    }
    if says.starts_with("missing field") || says.starts_with("unknown variant") {
        return says;
    }
    "they are not as Google writes them".into()
}

impl Source {
    /// The token that it has now.
    ///
    /// # Errors
    /// A sentence with the path.
    pub(super) fn token(&self) -> Result<Secret, String> {
        let path = self.file.display();
        let text = std::fs::read_to_string(&self.file)
            .map_err(|error| format!("cannot read the subject token {path}: {error}"))?;
        let token = match &self.format {
            Format::Text => text.trim().to_owned(),
            Format::Json { subject_token_field_name: name } => {
                let document: serde_json::Value =
                    serde_json::from_str(&text).map_err(|_| format!("{path} is no JSON"))?;
                let token = document.get(name).and_then(serde_json::Value::as_str);
                token.ok_or_else(|| format!("{path} has no text `{name}`"))?.to_owned()
            }
        };
        Ok(token.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Form, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Form::read(file.path())
    }

    #[test]
    fn what_is_wrong_is_said_without_secrets() {
        for (text, part) in [
            (r#"{"type":"service_account","client_email":"a"}"#, "missing field `private_key`"),
            (r#"{"type":"gdch_service_account"}"#, "expected one of `service_account`"),
            (
                r#"{"type":"authorized_user","client_id":"hunter2","client_secret":7}"#,
                "not as Google writes",
            ),
            (r#"{"type":"service_account","private_key":"hunter2"#, "not as Google writes"),
            (
                r#"{"type":"external_account","audience":"a","subject_token_type":"t","token_url":"u",
                    "credential_source":{"url":"http://hunter2"}}"#,
                "only a token in a file",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part) && !error.contains("hunter2"), "{error}");
        }
        assert!(Form::read(Path::new("/nowhere")).unwrap_err().contains("/nowhere"));
    }

    #[test]
    fn a_subject_token_is_a_text_or_a_field() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = |format| Source { file: file.path().into(), format };
        std::fs::write(file.path(), " abc\n").unwrap();
        assert_eq!(source(Format::Text).token().unwrap().expose(), "abc");
        std::fs::write(file.path(), r#"{"id":"xyz"}"#).unwrap();
        let field = |name: &str| Format::Json { subject_token_field_name: name.into() };
        assert_eq!(source(field("id")).token().unwrap().expose(), "xyz");
        assert!(source(field("no")).token().unwrap_err().contains("no text `no`"));
    }
}
