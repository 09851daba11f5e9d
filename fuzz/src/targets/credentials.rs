//! What says who may connect: the credentials file, headers, certificates.

use std::path::Path;

use heapster_master::http::door::shows;
use heapster_shared::{
    access::{Credential, Credentials, Token},
    tls::{ClientTrust, Subject, certificates, expiry},
};

use rustls::pki_types::CertificateDer;

use super::{Target, joined, text, two};

const RECORDED: &str = "buddy/testdata/tls/server.pem";

pub(super) const TARGETS: &[Target] = &[
    Target { name: "credentials", run: credentials, recorded: &[], made: files },
    Target {
        name: "authorization",
        run: authorization,
        recorded: &[],
        made: || {
            vec![
                joined("Bearer 0123456789abcdef", "0123456789abcdef"),
                // A name and a password, `me:abc`.
                joined("Basic bWU6YWJj", "abc"),
                joined("bearer  abc", "abc"),
            ]
        },
    },
    Target {
        name: "certificate",
        run: certificate,
        recorded: &[RECORDED, "buddy/testdata/tls/ca.pem"],
        made: || {
            certificates(Path::new(RECORDED), PEM)
                .unwrap_or_default()
                .iter()
                .map(|it| it.to_vec())
                .collect()
        },
    },
];

const PEM: &[u8] = include_bytes!("../../../buddy/testdata/tls/server.pem");
/// Stands where a token's hash belongs, by mistake.
const SECRET: &str = "secret-word";

/// An entry is written as it was read; no error shows what stands where a token belongs.
fn credentials(input: &[u8]) {
    let file = text(input);
    let known = match Credentials::parse(&file, "file") {
        Ok(known) => known,
        Err(error) => {
            let misplaced = file.matches(SECRET).count() == 1
                && file.contains(&format!("\ntoken = '{SECRET}'\n"));
            assert!(!misplaced || !error.contains(SECRET), "{error} shows a token");
            assert!(error.starts_with("file:"), "{error} does not say where");
            return;
        }
    };
    let hash = Token::new("abc").map(|token| token.hash());
    let of_token = hash.ok().and_then(|hash| known.of_token(&hash).cloned());
    for entry in of_token.into_iter().chain(known.of_certificate("alice").cloned()) {
        let written = entry.to_toml();
        let again = Credentials::parse(&written, "written");
        let is_there = |known: &Credentials| found(known, &entry) == Some(&*entry);
        assert!(again.as_ref().is_ok_and(is_there), "{written} reads otherwise: {again:?}");
    }
}

fn found<'a>(known: &'a Credentials, entry: &Credential) -> Option<&'a Credential> {
    use heapster_shared::access::Proof;
    match &entry.proof {
        Proof::Token(hash) => known.of_token(hash),
        Proof::Certificate(name) => known.of_certificate(name),
    }
    .map(|found| &**found)
}

fn files() -> Vec<Vec<u8>> {
    let hash = Token::new("abc").map(|token| token.hash().to_string()).unwrap_or_default();
    let lab = format!(
        "[[credential]]\nname = 'lab'\ntoken = '{hash}'\nclusters = ['lab', 'eu-*']\nroles = ['discovers', 'polls']\n"
    );
    let alice = "[[credential]]\nname = \"al\\u0069ce\"\ncertificate = 'alice'\naccess = 'admin'\n";
    let wrong = format!("[[credential]]\nname = 'x'\ntoken = '{SECRET}'\naccess = 'read'\n");
    vec![
        format!("{lab}\n{alice}").into(),
        wrong.into(),
        format!("# all\n{alice}clusters = ['**?']\n").into(),
    ]
}

/// A token is found where it stands, as a bearer's or as a password, and nowhere else.
fn authorization(input: &[u8]) {
    let (header, token) = two(input);
    let token = text(token);
    let plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain && token.len() < 500 {
        assert!(shows(format!("Bearer {token}").as_bytes(), &token), "{token:?} is not found");
    }
    let header_text = text(header);
    let scheme = header_text.split(' ').next().unwrap_or_default().to_ascii_lowercase();
    assert!(
        !shows(header, &token) || matches!(scheme.as_str(), "bearer" | "basic"),
        "{header_text:?} shows {token:?}"
    );
}

/// A certificate has a name and an end, or none can be read; each in PEM is one in DER.
fn certificate(input: &[u8]) {
    let der = [CertificateDer::from(input)];
    for certificate in certificates(Path::new("file"), input).unwrap_or_default().iter().chain(&der)
    {
        let subject = Subject::of(certificate).unwrap_or_default();
        let named = subject.organizations.iter().map(String::len).sum::<usize>();
        assert!(named + subject.common_name.len() <= certificate.len(), "{subject:?}");
        let end = expiry(std::slice::from_ref(certificate));
        // From 1950, or in four digits from the year 0, to the year 9999.
        assert!(
            end.is_none_or(|end| (-70_000_000_000..=253_402_300_799).contains(&end)),
            "{end:?}"
        );
    }
    let _ = ClientTrust::parse(Path::new("file"), input);
}
