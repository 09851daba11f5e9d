//! The discovery `etcd`: one key per host under a prefix of etcd v3.
//!
//! The rest of the key after the prefix is the host's identity, and its name unless the value says
//! another; the value is an object such as `{"ip":"10.0.0.1","port":8080,"labels":{..}}`, an address
//! with or without a port, or empty where the name is the address. Keys are written by many hands,
//! so one that cannot be read is left out, named, and the others stand.
//!
//! How keys are listed and watched is in `keys`.

mod connect;
mod keys;

use std::path::PathBuf;

use heapster_shared::{
    secret::Secret,
    spec::{Spec, SpecError},
};
use serde::Deserialize;

pub(super) use self::{connect::Connector, keys::Etcd};
use super::{
    Discovery, Kind,
    entry::host_of_value,
    web::{Access, Endpoint, Ports, endpoints},
};

/// The entry in the table of discoveries.
pub(super) const KIND: Kind = Kind {
    name: "etcd",
    summary: "hosts under a prefix of etcd v3, one key each: the rest of the key is the name, the value an address or an object with ip, port and labels",
    samples: &[
        "etcd",
        "etcd:http://127.0.0.1:2379?prefix=/heapster/hosts/",
        "etcd:http://e1:2379,http://e2:2379?prefix=/prod/hosts/&user=heapster&password_file=/etc/heapster/etcd-password",
        "etcd:https://e1:2379?ca=/etc/heapster/etcd-ca.pem",
        "etcd:https://e1:2379?cert=/etc/heapster/client.pem&key=/etc/heapster/client-key.pem",
    ],
    build,
};

const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:2379";

/// The options.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Options {
    /// What the keys of hosts begin with. Default: `/heapster/hosts/`.
    #[serde(default = "default_prefix")]
    prefix: String,
    /// User of etcd. Default: none.
    #[serde(default)]
    user: String,
    /// The user's password. It stands on the command line for everybody to see; prefer
    /// `password_file`.
    #[serde(default)]
    password: Secret,
    /// File with the user's password; it is read again for each connection.
    password_file: Option<PathBuf>,
    /// File with the certificates, in PEM, of who may have signed that of an `https` endpoint; those
    /// that this machine trusts are trusted too. Default: none.
    ca: Option<PathBuf>,
    /// File with the client certificate, in PEM. Default: none is shown.
    cert: Option<PathBuf>,
    /// File with the key to `cert`, in PEM.
    key: Option<PathBuf>,
}

fn default_prefix() -> String {
    "/heapster/hosts/".to_owned()
}

fn build(spec: Spec) -> Result<Box<dyn Discovery>, SpecError> {
    let options: Options = spec.options()?;
    let wrong = |what: String| SpecError(format!("etcd: {what}"));
    if options.prefix.is_empty() {
        return Err(wrong("`prefix` is empty; every key of etcd would be a host".to_owned()));
    }
    let endpoints =
        endpoints(&spec.location, DEFAULT_ENDPOINT, Ports::both(&[2379])).map_err(wrong)?;
    let prefix = options.prefix.clone();
    let connector = options.connector(&endpoints).map_err(wrong)?;
    let host = |key: &str, value: &str| host_of_value(key.trim_start_matches('/'), value).map(Some);
    Ok(Box::new(Etcd::new(KIND.name, connector, prefix, Box::new(host))))
}

impl Options {
    fn connector(self, endpoints: &[Endpoint]) -> Result<Connector, String> {
        let Self { user: username, password, password_file, ca, cert, key, .. } = self;
        let (inline, in_file) = (!password.is_empty(), password_file.is_some());
        if inline && in_file {
            return Err("give `password` or `password_file`, not both".to_owned());
        }
        if username.is_empty() == (inline || in_file) {
            return Err("`user` and `password` (or `password_file`) go together".to_owned());
        }
        // The user was checked here, for whose password may be no file.
        let mut access = Access::default();
        (access.options.ca, access.options.cert, access.options.key) = (ca, cert, key);
        access.check(endpoints)?;
        let urls = endpoints.iter().map(|endpoint| match endpoint {
            Endpoint::Url(url) => Ok(url.clone()),
            Endpoint::Unix(_) => Err(format!("{endpoint} is no endpoint; name one with http")),
        });
        (access.options.username, access.options.password_file) = (username, password_file);
        Ok(Connector::new(urls.collect::<Result<_, _>>()?, access).with_password(password))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_refused_before_anything_starts() {
        for (text, expected) in [
            ("etcd:e1:2379", "no endpoint"),
            ("etcd:http://u:p@e1:2379", "options of their own"),
            ("etcd:unix:///run/etcd", "name one with http"),
            ("etcd:,", "name an endpoint"),
            ("etcd?prefix=", "`prefix` is empty"),
            ("etcd?user=u", "go together"),
            ("etcd?password_file=/x", "go together"),
            ("etcd?user=u&password=p&password_file=/x", "not both"),
            ("etcd?ca=/x.pem", "for endpoints with https"),
            ("etcd:https://a?cert=/x.pem", "`cert` and `key` go together"),
            ("etcd?path=/x", "unknown option `path`"),
        ] {
            let error = build(text.parse().unwrap()).err().unwrap().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains(":p@"), "{error}");
        }
    }
}
