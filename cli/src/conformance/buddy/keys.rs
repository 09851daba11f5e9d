//! What a master needs to speak TLS and to know who connects, and what its buddy is given for it: made
//! anew for each run, so that nobody has to have certificates to try a buddy.

use std::{fs, net::IpAddr, path::PathBuf, sync::Arc};

use anyhow::{Context as _, anyhow};
use heapster_shared::access::Token;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    sign::CertifiedKey,
};
use tempfile::TempDir;
use tonic::{
    Extensions,
    metadata::MetadataMap,
    transport::server::{TcpConnectInfo, TlsConnectInfo},
};

use super::tls::{Face, Faces};
use crate::{
    cert::authority::{Authority, Signed},
    conformance::{Proof, command::File},
};

/// A name that no master has: what is below `.invalid` never will be one.
const OTHER_NAME: &str = "another-master.invalid";

/// The keys of a run, and the files of them that the buddy gets.
pub(super) struct Keys {
    folder: TempDir,
    files: Vec<(File, PathBuf)>,
    pub(super) faces: Arc<Faces>,
    authority: CertificateDer<'static>,
    pub(super) asked: Asked,
}

impl Keys {
    /// Makes what a master at this address needs.
    pub(super) fn new(proof: Proof, address: IpAddr) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for keys")?;
        let (authority, signed) = Authority::new()?;
        let (stranger, _) = Authority::new()?;
        let hosts = [address.to_string()];
        let faces = Faces::new([
            (Face::Master, certified(&authority.serving(&hosts)?)?),
            (Face::Stranger, certified(&stranger.serving(&hosts)?)?),
            (Face::OtherName, certified(&authority.serving_alone(OTHER_NAME)?)?),
        ]);
        let mut keys = Self {
            folder,
            files: Vec::new(),
            faces: Arc::new(faces),
            authority: CertificateDer::from_pem_slice(signed.certificate.as_bytes())?,
            asked: Asked::Certificate,
        };
        keys.write(File::Ca, "ca.crt", &signed.certificate)?;
        match proof {
            Proof::Certificate => {
                let client = authority.client("conformance")?;
                keys.write(File::Cert, "buddy.crt", &client.certificate)?;
                keys.write(File::Key, "buddy.key", &client.key)?;
            }
            Proof::Token => {
                let token = Token::generate().map_err(|error| anyhow!(error))?;
                keys.write(File::Token, "buddy.token", &format!("{}\n", token.expose()))?;
                keys.asked = Asked::Token(token);
            }
        }
        Ok(keys)
    }

    fn write(&mut self, file: File, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.path().join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        self.files.push((file, path));
        Ok(())
    }

    /// What the buddy is given.
    pub(super) fn files(&self) -> &[(File, PathBuf)] {
        &self.files
    }

    /// TLS as the master speaks it. Who shows no certificate is let in, and told of later.
    pub(super) fn server(&self) -> anyhow::Result<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions()?;
        let builder = match self.asked {
            Asked::Token(_) => builder.with_no_client_auth(),
            Asked::Certificate => builder.with_client_cert_verifier(self.clients(provider)?),
        };
        let faces: Arc<Faces> = Arc::clone(&self.faces);
        let mut config = builder.with_cert_resolver(faces);
        config.alpn_protocols = vec![b"h2".to_vec()];
        // What was believed before is not to stand for what is shown now.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    fn clients(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> anyhow::Result<Arc<dyn rustls::server::danger::ClientCertVerifier>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone())?;
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        Ok(builder.allow_unauthenticated().build()?)
    }
}

fn certified(signed: &Signed) -> anyhow::Result<CertifiedKey> {
    let chain = vec![CertificateDer::from_pem_slice(signed.certificate.as_bytes())?];
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes())?;
    Ok(CertifiedKey::from_der(chain, key, &ring::default_provider())?)
}

/// What each stream has to show.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Token(Token),
    Certificate,
}

impl Asked {
    /// What is wrong with what a stream shows: the end of a sentence.
    pub(super) fn wrong_with(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Option<&'static str> {
        match self {
            Self::Token(token) => {
                let Some(shown) = metadata.get("authorization") else {
                    return Some(NO_TOKEN);
                };
                let shown = shown.to_str().ok().and_then(bearer);
                (shown.as_ref() != Some(token)).then_some(WRONG_TOKEN)
            }
            Self::Certificate => {
                let peer = extensions.get::<TlsConnectInfo<TcpConnectInfo>>();
                let chain = peer.and_then(TlsConnectInfo::peer_certs);
                chain.is_none_or(|chain| chain.is_empty()).then_some(NO_CERTIFICATE)
            }
        }
    }
}

const NO_TOKEN: &str = "came without `authorization` in its metadata: send `Bearer TOKEN` with each stream, TOKEN being what {token_file} or the file HEAPSTER_TOKEN_FILE has";
const WRONG_TOKEN: &str = "has another `authorization` in its metadata than `Bearer TOKEN`, TOKEN being what {token_file} or the file HEAPSTER_TOKEN_FILE has, without the line's end";
const NO_CERTIFICATE: &str = "came over a connection without a client certificate: show the one in {cert} and {key}, or in the files HEAPSTER_CERT and HEAPSTER_KEY";

/// The token in an `authorization`.
fn bearer(text: &str) -> Option<Token> {
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::new(token).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(proof: Proof) -> Keys {
        Keys::new(proof, IpAddr::from([127, 0, 0, 1])).unwrap()
    }

    /// The token is to be the right one, in the right words.
    #[test]
    fn a_token_is_looked_at() {
        let keys = keys(Proof::Token);
        let (_, path) = keys.files().iter().find(|(file, _)| *file == File::Token).unwrap();
        let token = fs::read_to_string(path).unwrap();
        let wrong_with = |value: &str| {
            let mut metadata = MetadataMap::new();
            if !value.is_empty() {
                metadata.insert("authorization", value.parse().unwrap());
            }
            keys.asked.wrong_with(&metadata, &Extensions::new())
        };
        assert_eq!(wrong_with(&format!("bearer {}", token.trim())), None);
        assert_eq!(wrong_with(""), Some(NO_TOKEN));
        for wrong in [token.trim(), "Bearer heapster_other", "Basic eDp5"] {
            assert_eq!(wrong_with(wrong), Some(WRONG_TOKEN), "{wrong}");
        }
    }

    /// Each kind of buddy gets what it needs and no more, for as long as the run lasts.
    #[test]
    fn files_are_there_and_then_gone() {
        for (proof, count) in [(Proof::Token, 2), (Proof::Certificate, 3)] {
            let keys = keys(proof);
            let paths: Vec<PathBuf> = keys.files().iter().map(|(_, path)| path.clone()).collect();
            assert_eq!(paths.len(), count);
            assert!(paths.iter().all(|path| path.is_file()));
            drop(keys);
            assert!(!paths.iter().any(|path| path.exists()));
        }
    }
}
