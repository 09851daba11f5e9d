//! The way to a client of etcd v3.

use std::{path::Path, time::Duration};

use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use heapster_shared::secret::Secret;

use super::super::web::Access;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent connection is asked whether it lives after this time, and given up after the next.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// Knows where etcd is, and how to be let in.
pub(in crate::discovery) struct Connector {
    endpoints: Vec<String>,
    access: Access,
    password: Secret,
}

impl Connector {
    /// The way to the first of these endpoints that answers; there is one at least.
    pub(in crate::discovery) fn new(endpoints: Vec<String>, access: Access) -> Self {
        Self { endpoints, access, password: Secret::default() }
    }

    /// With the password of the user, where it is in no file.
    pub(super) fn with_password(self, password: Secret) -> Self {
        Self { password, ..self }
    }

    /// The endpoints, one at least.
    pub(super) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// A client of one endpoint. (One of all would go to those that are down as often as to the
    /// others.) With a user it has logged in already, else nothing was sent yet.
    ///
    /// # Errors
    /// A sentence.
    pub(super) async fn connect(&self, endpoint: usize) -> Result<Client, String> {
        let endpoint = &self.endpoints[endpoint % self.endpoints.len()];
        let mut connect = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_keep_alive(KEEP_ALIVE.0, KEEP_ALIVE.1)
            .with_keep_alive_while_idle(true)
            // A member that lost the others would give an old list, and watch nothing.
            .with_require_leader(true);
        if let Some((user, password)) = self.access.login()? {
            connect = connect.with_user(user, password.expose());
        } else if !self.access.options.username.is_empty() {
            connect = connect.with_user(&self.access.options.username, self.password.expose());
        }
        if is_tls(endpoint) {
            connect = connect.with_tls(self.tls().await?);
        }
        Client::connect([endpoint], Some(connect)).await.map_err(|error| sentence(&error))
    }

    async fn tls(&self) -> Result<TlsOptions, String> {
        let mut tls = TlsOptions::new().trust_anchors(crate::tls::system_roots().roots);
        if let Some(path) = &self.access.options.ca {
            tls = tls.ca_certificate(Certificate::from_pem(read("ca", path).await?));
        }
        if let (Some(cert), Some(key)) = (&self.access.options.cert, &self.access.options.key) {
            let (cert, key) = (read("cert", cert).await?, read("key", key).await?);
            tls = tls.identity(Identity::from_pem(cert, key));
        }
        Ok(tls)
    }
}

async fn read(option: &str, path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error| format!("`{option}` {}: {error}", path.display());
    tokio::fs::read(path).await.map_err(unreadable)
}

fn is_tls(endpoint: &str) -> bool {
    endpoint.starts_with("https:")
}

/// What went wrong, without the details of the transport's types.
pub(super) fn sentence(error: &etcd_client::Error) -> String {
    let etcd_client::Error::GRpcStatus(status) = error else {
        return error.to_string();
    };
    let message = status.message();
    match status.code() {
        tonic::Code::Unavailable => format!("not reachable: {message}"),
        // A wrong password is an "invalid argument" of etcd.
        code if is_refusal(code) || message.contains("authentication failed") => {
            format!(
                "refused: {message}; check the user and the password, and the keys of their role"
            )
        }
        _ => message.to_owned(),
    }
}

fn is_refusal(code: tonic::Code) -> bool {
    matches!(code, tonic::Code::Unauthenticated | tonic::Code::PermissionDenied)
}
