//! Where the API server is and how to be let in: the options that everything with a connection to
//! Kubernetes has in common.
//!
//! | spec | API server |
//! |---|---|
//! | `kubernetes` | the cluster that this program runs in; outside of one, the default kubeconfig |
//! | `kubernetes:in-cluster` | the cluster that this program runs in |
//! | `kubernetes:?kubeconfig=FILE&context=NAME` | that of a kubeconfig; either option may be left out |
//! | `kubernetes:https://API?token_file=FILE&ca=FILE` | that of an address |

pub(super) mod kubeconfig;

use std::path::{Path, PathBuf};

use heapster_shared::{
    secret::Secret,
    spec::{Spec, SpecError},
};
use kube::{Client, Config};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde::Deserialize;

use super::transport::{self, HoldOff};
use crate::rotated;

/// Where Kubernetes puts what a pod needs to talk to its API server.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const SERVICE_HOST: &str = "KUBERNETES_SERVICE_HOST";

/// The options.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
struct Options {
    /// A kubeconfig. Default: the files that `KUBECONFIG` names, else `~/.kube/config`.
    kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig. Default: its current one.
    context: Option<String>,
    /// A bearer token. It stands on the command line for everybody to see; prefer `token_file`.
    #[serde(default)]
    token: Secret,
    /// A file with a bearer token. All files are read again when they change.
    token_file: Option<PathBuf>,
    /// A file with the certificates, in PEM, of who may have signed that of the API server. Default:
    /// those that this machine trusts.
    ca: Option<PathBuf>,
    /// A file with the client's certificate, in PEM.
    cert: Option<PathBuf>,
    /// A file with the key to `cert`, in PEM.
    key: Option<PathBuf>,
    /// `verify`, or `skip` to take any certificate of the API server. Default: verify.
    #[serde(default)]
    tls: Tls,
    /// Nothing but this node and its pods is asked for: for a buddy on each node. Default: all nodes.
    node: Option<String>,
}

/// Whether the API server's certificate is checked.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug, Default)]
#[serde(rename_all = "lowercase")]
enum Tls {
    #[default]
    Verify,
    Skip,
}

/// The way to one API server. Two of the same text are equal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connector {
    location: String,
    options: Options,
}

impl Connector {
    /// The options that it takes.
    pub const OPTIONS: &[&str] =
        &["kubeconfig", "context", "token", "token_file", "ca", "cert", "key", "tls", "node"];

    /// Takes its options out of a spec and checks them, without a look at any file.
    ///
    /// # Errors
    /// A sentence for the spec's author.
    pub fn take(spec: &mut Spec) -> Result<Self, SpecError> {
        let own = spec.split_off(Self::OPTIONS);
        let connector = Self { location: own.location.clone(), options: own.options()? };
        let checked = connector.check();
        checked.map_err(|error| SpecError(format!("{}: {error}", own.kind)))?;
        Ok(connector)
    }

    fn check(&self) -> Result<(), String> {
        let Options { kubeconfig, context, token, token_file, ca, cert, key, tls, node } =
            &self.options;
        if node.as_ref().is_some_and(String::is_empty) {
            return Err("`node` is empty: write the name of a node".into());
        }
        let of_kubeconfig = kubeconfig.is_some() || context.is_some();
        let of_address = !token.is_empty()
            || token_file.is_some()
            || ca.is_some()
            || cert.is_some()
            || key.is_some()
            || *tls == Tls::Skip;
        match self.location.as_str() {
            "" | "in-cluster" if of_address => {
                Err("`token`, `token_file`, `ca`, `cert`, `key` and `tls` go with an address, as in kubernetes:https://API?token_file=FILE".into())
            }
            "in-cluster" if of_kubeconfig => Err("`in-cluster` takes no kubeconfig".into()),
            "" | "in-cluster" => Ok(()),
            _ if of_kubeconfig => Err("give an address or a kubeconfig, not both".into()),
            _ if cert.is_some() != key.is_some() => Err("`cert` and `key` go together".into()),
            _ if !token.is_empty() && token_file.is_some() => {
                Err("give `token` or `token_file`, not both".into())
            }
            address => check_address(address),
        }
    }

    /// The only node that is of interest, where there is one.
    pub(crate) fn node(&self) -> Option<&str> {
        self.options.node.as_deref()
    }

    /// A client. Reads files and may run the kubeconfig's helper, but sends nothing.
    ///
    /// # Errors
    /// A sentence: which file is missing, which contexts there are.
    pub(super) async fn connect(&self, hold_off: HoldOff) -> Result<Client, String> {
        transport::client(self.clone(), hold_off, rotated::LOOK_EVERY).await
    }

    /// The files that say what the configuration is, as far as they are known; but for those with
    /// tokens, which are looked after by whoever sends them.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let Options { kubeconfig, context, ca, cert, key, .. } = &self.options;
        let of_kubeconfig = || kubeconfig::files(kubeconfig.as_deref(), context.as_deref());
        match self.location.as_str() {
            "" if kubeconfig.is_some() || context.is_some() || !is_in_cluster() => of_kubeconfig(),
            "" | "in-cluster" => vec![Path::new(SERVICE_ACCOUNT).join("ca.crt")],
            _ => [ca, cert, key].into_iter().flatten().cloned().collect(),
        }
    }

    /// Reads the files.
    ///
    /// # Errors
    /// A sentence: which file is missing, which contexts there are.
    pub(super) async fn config(&self) -> Result<Config, String> {
        let Options { kubeconfig, context, .. } = &self.options;
        match self.location.as_str() {
            "in-cluster" => in_cluster(),
            "" if kubeconfig.is_some() || context.is_some() => {
                kubeconfig::load(kubeconfig.as_deref(), context.as_deref()).await
            }
            "" if is_in_cluster() => in_cluster(),
            "" => kubeconfig::load(None, None).await.map_err(|error| {
                format!("this is not a pod of a cluster ({SERVICE_ACCOUNT} is missing), and {error}; name a kubeconfig, as in kubernetes:?kubeconfig=FILE, or an address, as in kubernetes:https://API?token_file=FILE")
            }),
            address => self.of_address(address),
        }
    }

    fn of_address(&self, address: &str) -> Result<Config, String> {
        let Options { token, token_file, ca, cert, key, tls, .. } = &self.options;
        let mut config =
            Config::new(address.parse().map_err(|error| format!("{address}: {error}"))?);
        config.accept_invalid_certs = *tls == Tls::Skip;
        if let Some(path) = ca {
            config.root_cert = Some(certificates(path)?);
        }
        let readable = |path: &Option<PathBuf>, option: &str| match path {
            Some(path) => std::fs::metadata(path)
                .map(|_| Some(path.to_string_lossy().into_owned()))
                .map_err(|error| format!("`{option}` {}: {error}", path.display())),
            None => Ok(None),
        };
        let login = &mut config.auth_info;
        login.client_certificate = readable(cert, "cert")?;
        login.client_key = readable(key, "key")?;
        login.token_file = readable(token_file, "token_file")?;
        login.token = (!token.is_empty()).then(|| token.expose().to_owned().into());
        Ok(config)
    }
}

fn check_address(address: &str) -> Result<(), String> {
    let hint = "write it as https://HOST:PORT";
    let url = url::Url::parse(address).map_err(|error| format!("address: {error}; {hint}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "user and password are no part of the address; use `token_file` or `cert` and `key`"
                .into(),
        );
    }
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("`{address}` is no address; {hint}"));
    }
    Ok(())
}

fn is_in_cluster() -> bool {
    std::env::var_os(SERVICE_HOST).is_some() && Path::new(SERVICE_ACCOUNT).join("token").exists()
}

fn in_cluster() -> Result<Config, String> {
    let mut config = Config::incluster().map_err(|error| {
        format!("this is not a pod with a service account: {error}; {SERVICE_ACCOUNT} and {SERVICE_HOST} are there unless the pod has `automountServiceAccountToken: false`")
    })?;
    // Here all is made anew when the file changes.
    config.root_cert_file = None;
    Ok(config)
}

/// The certificates of a file, in DER.
fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("`ca` {}: {error}", path.display());
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?;
    let certificates: Result<Vec<_>, _> =
        certificates.map(|certificate| certificate.map(|der| der.to_vec())).collect();
    let certificates = certificates.map_err(|error| wrong(&error))?;
    if certificates.is_empty() { Err(wrong(&"no certificate in it")) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests;
