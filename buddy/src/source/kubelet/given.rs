//! What the place gives in which the program runs: in a pod, a service account and the address of
//! the API server.

use std::path::{Path, PathBuf};

/// Where Kubernetes puts the files of a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// What the place gives.
#[derive(Clone, Default, Debug)]
pub(super) struct Given {
    /// The token of the pod's service account.
    pub(super) token_file: Option<PathBuf>,
    /// The authority that signed the API server's certificate.
    pub(super) ca: Option<PathBuf>,
    /// The API server's address.
    pub(super) api_server: Option<String>,
}

impl Given {
    /// What is given here.
    pub(super) fn here() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let server = (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT"));
        Self { api_server: api_server(server), ..Self::in_directory(Path::new(SERVICE_ACCOUNT)) }
    }

    /// The files of a service account that are there.
    pub(super) fn in_directory(directory: &Path) -> Self {
        let file = |name: &str| Some(directory.join(name)).filter(|path| path.is_file());
        Self { token_file: file("token"), ca: file("ca.crt"), api_server: None }
    }
}

fn api_server(variables: (Option<String>, Option<String>)) -> Option<String> {
    let (host, port) = variables;
    let (host, port) = (host?, port.unwrap_or_else(|| "443".to_owned()));
    Some(crate::source::location::base_url("https", &host, port.parse().ok()?, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_server_of_a_pod() {
        let server = |host: &str, port: Option<&str>| {
            api_server((Some(host.to_owned()), port.map(str::to_owned)))
        };
        assert_eq!(server("10.96.0.1", Some("6443")).as_deref(), Some("https://10.96.0.1:6443"));
        assert_eq!(server("fd00::1", None).as_deref(), Some("https://[fd00::1]:443"));
        assert_eq!(server("10.96.0.1", Some("x")), None);
        assert_eq!(api_server((None, None)), None);
    }
}
