//! Files by which clients find the server and prove who they are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde_json::{Value, json};

use crate::authority::{Authority, ClientIdentity, User};

/// The bearer token of the administrator.
pub(super) const ADMIN_TOKEN: &str = "admin-token";
/// The bearer token of Heapster's service account.
pub(super) const SERVICE_TOKEN: &str = "heapster-token";

/// What clients need, in a folder.
pub(super) struct Credentials {
    admin: ClientIdentity,
    cluster_ca: String,
}

impl Credentials {
    /// Makes the administrator and the service account known.
    pub(super) fn new(authority: &Authority) -> anyhow::Result<Self> {
        let masters = ["system:masters"];
        authority.set_token(ADMIN_TOKEN, User::new("kubernetes-admin", &masters));
        let account = "system:serviceaccount:kube-system:heapster";
        let groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system"];
        authority.set_token(SERVICE_TOKEN, User::new(account, &groups));
        let admin = authority.client(User::new("kubernetes-admin", &masters))?;
        Ok(Self { admin, cluster_ca: authority.cluster_ca_pem().to_owned() })
    }

    /// Writes `kubeconfig` and the files that it names, which are those of a service account too.
    pub(super) fn write(&self, folder: &Path, url: &str) -> anyhow::Result<()> {
        fs::create_dir_all(folder)?;
        let files = [
            ("ca.crt", self.cluster_ca.as_str()),
            ("client.crt", &self.admin.certificate_pem),
            ("client.key", &self.admin.key_pem),
            ("token", SERVICE_TOKEN),
            ("namespace", "kube-system"),
        ];
        for (name, text) in files {
            write(&folder.join(name), text)?;
        }
        write(&folder.join("kubeconfig"), &self.kubeconfig(folder, url).to_string())
    }

    /// A kubeconfig as JSON, which is YAML as well. Its contexts are `admin`, `heapster` (the
    /// service account's token) and `anonymous`.
    fn kubeconfig(&self, folder: &Path, url: &str) -> Value {
        let path = |name| folder.join(name).display().to_string();
        let (cluster, admin) = if url.starts_with("https") {
            (
                json!({ "server": url, "certificate-authority": path("ca.crt") }),
                json!({ "client-certificate": path("client.crt"), "client-key": path("client.key") }),
            )
        } else {
            (json!({ "server": url }), json!({ "token": ADMIN_TOKEN }))
        };
        let context = |user: &str| {
            let context = json!({ "cluster": "sim", "user": user, "namespace": "default" });
            json!({ "name": user, "context": context })
        };
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "admin",
            "clusters": [{ "name": "sim", "cluster": cluster }],
            "users": [
                { "name": "admin", "user": admin },
                { "name": "heapster", "user": { "token": SERVICE_TOKEN } },
                { "name": "anonymous", "user": {} },
            ],
            "contexts": [context("admin"), context("heapster"), context("anonymous")],
        })
    }
}

fn write(path: &PathBuf, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
