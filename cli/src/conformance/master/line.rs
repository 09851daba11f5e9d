//! How the master is connected to: by TLS or not, and as whom.

use anyhow::{anyhow, bail};
use heapster_shared::tls::{Expected, MasterIdentity};
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::{ClientTlsConfig, Endpoint, Identity},
};

use crate::conformance::MasterArgs;

/// Where to connect, and what to show on each stream.
pub(super) struct Line {
    pub(super) endpoint: Endpoint,
    pub(super) authorization: Option<MetadataValue<Ascii>>,
}

/// As the options have it.
pub(super) fn of(args: &MasterArgs) -> anyhow::Result<Line> {
    let url = &args.endpoint;
    let encrypted = url.starts_with("https://");
    if !encrypted && !url.starts_with("http://") {
        bail!("--endpoint {url}: write http://HOST:PORT or https://HOST:PORT");
    }
    let wrong = |error: tonic::transport::Error| anyhow!("--endpoint {url}: {error}");
    let mut endpoint = Endpoint::from_shared(url.clone()).map_err(wrong)?;
    args.tls.check(encrypted).map_err(|error| anyhow!(error))?;
    let read = args.tls.read(encrypted).map_err(|error| anyhow!(error))?;
    let MasterIdentity { roots, client, token } = read;
    if encrypted {
        let mut tls = ClientTlsConfig::new().domain_name(name(args)).trust_anchors(roots.roots);
        if let Some(text) = client {
            let (certificate, key) = text.into_parts();
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        endpoint = endpoint.tls_config(tls).map_err(wrong)?;
    }
    let authorization = token.map(|token| {
        let mut value = MetadataValue::try_from(format!("Bearer {}", token.expose()))?;
        value.set_sensitive(true);
        anyhow::Ok(value)
    });
    Ok(Line { endpoint, authorization: authorization.transpose()? })
}

/// What is wrong with TLS, and what to set.
pub(super) fn explain(args: &MasterArgs, error: &rustls::Error) -> String {
    let expected = Expected {
        at: authority(args),
        name: &name(args),
        authorities: args.tls.master_ca.as_deref(),
        client: args.tls.cert.as_deref(),
    };
    format!("cannot connect: {}", expected.explain(error))
}

/// `HOST:PORT` of the URL.
fn authority(args: &MasterArgs) -> &str {
    let rest = args.endpoint.split_once("://").map_or("", |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// The name that the certificate must have.
fn name(args: &MasterArgs) -> String {
    if let Some(name) = &args.tls.master_name {
        return name.clone();
    }
    let authority = authority(args);
    // An address of version 6 is in brackets, and has colons of its own.
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => authority.split(':').next(),
    };
    host.unwrap_or_default().to_owned()
}
