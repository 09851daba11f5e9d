//! An authority that signs certificates, in two files.

use std::{fs, path::Path, time::Duration, time::SystemTime};

use anyhow::{Context, anyhow, bail};
use heapster_shared::tls::{Subject, certificates};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an authority is valid.
const AUTHORITY_DAYS: u32 = 3650;
/// How long what it signs is valid.
const DAYS: u32 = 365;
/// Clocks of others may be behind by this much.
const SKEW: Duration = Duration::from_secs(60 * 60);
/// Names of a machine for itself.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate and its key, in PEM.
pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// An authority.
pub(crate) struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// A new one, with its own certificate.
    pub(crate) fn new() -> anyhow::Result<(Self, Signed)> {
        let key = KeyPair::generate()?;
        // Two authorities have two names, or one would be taken for the other.
        let number: String =
            key.public_key_raw().iter().rev().take(4).map(|byte| format!("{byte:02x}")).collect();
        let params = authority_params(&format!("heapster authority {number}"));
        let certificate = valid_for(params.clone(), AUTHORITY_DAYS).self_signed(&key)?;
        let signed = Signed { certificate: certificate.pem(), key: key.serialize_pem() };
        Ok((Self(Issuer::new(params, key)), signed))
    }

    /// The one in this directory; none where there is none.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let (certificate, key) = (folder.join("ca.crt"), folder.join("ca.key"));
        match (certificate.exists(), key.exists()) {
            (false, false) => return Ok(None),
            (true, true) => {}
            _ => bail!(
                "{} has only one of ca.crt and ca.key: both are needed to sign",
                folder.display()
            ),
        }
        let read =
            |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let chain =
            certificates(&certificate, &read(&certificate)?).map_err(|error| anyhow!(error))?;
        let subject =
            Subject::of(&chain[0]).context("the authority's certificate has no subject")?;
        let pem = String::from_utf8(read(&key)?).context("the authority's key is no text")?;
        let pair =
            KeyPair::from_pem(&pem).with_context(|| format!("{} cannot be used", key.display()))?;
        let authority = Self(Issuer::new(authority_params(&subject.common_name), pair));
        authority.check(&certificate, &chain[0])?;
        Ok(Some(authority))
    }

    /// Whether what this signs is believed by who has the certificate.
    fn check(&self, path: &Path, certificate: &[u8]) -> anyhow::Result<()> {
        let key = self.0.key().public_key_raw();
        // The key stands in the certificate as it is.
        if certificate.windows(key.len()).any(|window| window == key) {
            return Ok(());
        }
        bail!("{} is not the certificate of the key beside it", path.display())
    }

    /// A server's certificate, for these names and those of the machine itself.
    pub(crate) fn serving(&self, hosts: &[String]) -> anyhow::Result<Signed> {
        let mut names: Vec<String> = hosts.to_vec();
        names.extend(OWN_NAMES.map(str::to_owned));
        names.dedup();
        for name in hosts {
            if rustls::pki_types::ServerName::try_from(name.as_str()).is_err() {
                bail!(
                    "--host {name}: write a name such as heapster.example, or an IP address, without a port"
                );
            }
        }
        self.server(names, &hosts[0])
    }

    /// A server's certificate for this name, and not for those of the machine itself.
    pub(crate) fn serving_alone(&self, host: &str) -> anyhow::Result<Signed> {
        self.server(vec![host.to_owned()], host)
    }

    fn server(&self, names: Vec<String>, subject: &str) -> anyhow::Result<Signed> {
        let mut params = CertificateParams::new(names).context("--host")?;
        params.distinguished_name = named(subject);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    /// A client's certificate.
    pub(crate) fn client(&self, name: &str) -> anyhow::Result<Signed> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> anyhow::Result<Signed> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = valid_for(params, DAYS).signed_by(&key, &self.0)?;
        Ok(Signed { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn valid_for(mut params: CertificateParams, days: u32) -> CertificateParams {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = date_time_ymd(1970, 1, 1) + now;
    (params.not_before, params.not_after) = (now - SKEW, now + DAY * days);
    params
}

#[cfg(test)]
mod tests {
    use heapster_shared::tls::{ClientTrust, KeyFiles};
    use rustls::pki_types::UnixTime;

    use super::*;

    fn folder_of(signed: &Signed) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.crt"), &signed.certificate).unwrap();
        fs::write(folder.path().join("ca.key"), &signed.key).unwrap();
        folder
    }

    /// What an authority signs after it was read from its files is believed like what it signed
    /// before, for a year and no longer.
    #[test]
    fn an_authority_signs_on_after_it_was_put_away() {
        let (first, signed) = Authority::new().unwrap();
        let folder = folder_of(&signed);
        let again = Authority::read(folder.path()).unwrap().unwrap();
        let ca = folder.path().join("ca.crt");
        let trust = ClientTrust::parse(&ca, signed.certificate.as_bytes()).unwrap();
        let at = |days: u32| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            UnixTime::since_unix_epoch(since + DAY * days)
        };
        for authority in [first, again] {
            let client = authority.client("lab").unwrap();
            let chain = certificates(&ca, client.certificate.as_bytes()).unwrap();
            assert_eq!(trust.name(&chain, at(0)), Ok("lab".to_owned()));
            assert_eq!(trust.name(&chain, at(364)), Ok("lab".to_owned()));
            assert!(trust.name(&chain, at(366)).is_err());
        }
        let (_, other) = Authority::new().unwrap();
        fs::write(folder.path().join("ca.key"), other.key).unwrap();
        let error = Authority::read(folder.path()).err().unwrap().to_string();
        assert!(error.contains("not the certificate of the key"), "{error}");
        fs::remove_file(folder.path().join("ca.key")).unwrap();
        assert!(Authority::read(folder.path()).err().unwrap().to_string().contains("only one of"));
    }

    #[test]
    fn a_master_has_the_names_it_is_given_and_its_own() {
        let (authority, signed) = Authority::new().unwrap();
        let folder = folder_of(&signed);
        let signed = authority.serving(&["heapster.example".to_owned(), "10.0.0.7".to_owned()]);
        let signed = signed.unwrap();
        let (certificate, key) = (folder.path().join("m.crt"), folder.path().join("m.key"));
        fs::write(&certificate, &signed.certificate).unwrap();
        fs::write(&key, &signed.key).unwrap();
        let files = KeyFiles { certificate, key };
        let certified = files.parse(&files.read().unwrap()).unwrap();
        let certificate = rustls::server::ParsedCertificate::try_from(&certified.cert[0]).unwrap();
        for (name, fits) in [
            ("heapster.example", true),
            ("10.0.0.7", true),
            ("localhost", true),
            ("::1", true),
            ("other", false),
        ] {
            let name = rustls::pki_types::ServerName::try_from(name).unwrap();
            let verified = rustls::client::verify_server_name(&certificate, &name);
            assert_eq!(verified.is_ok(), fits, "{name:?}");
        }
        assert!(authority.serving(&["a b".to_owned()]).is_err());
        assert!(authority.serving(&["h:8085".to_owned()]).is_err());
    }
}
