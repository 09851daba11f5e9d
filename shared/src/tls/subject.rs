//! Whose certificate it is: the common name and the organizations of its subject.
//!
//! `subject = SEQUENCE of SET of SEQUENCE { OBJECT IDENTIFIER, text }`

use super::der::{self, SEQUENCE, expect, value};

const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const IA5: u8 = 0x16;
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

/// The part of a subject that says who it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Subject {
    /// Who it is.
    pub common_name: String,
    /// What it belongs to.
    pub organizations: Vec<String>,
}

impl Subject {
    /// That of a certificate; `None` where it cannot be read.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let rest = value(der::validity(certificate)?)?.2;
        let (mut names, _) = expect(rest, SEQUENCE)?;
        let mut subject = Self::default();
        while !names.is_empty() {
            let (mut set, after) = expect(names, SET)?;
            names = after;
            while !set.is_empty() {
                let (pair, after) = expect(set, SEQUENCE)?;
                set = after;
                subject.note(pair)?;
            }
        }
        Some(subject)
    }

    fn note(&mut self, pair: &[u8]) -> Option<()> {
        let (kind, rest) = expect(pair, OBJECT_IDENTIFIER)?;
        if kind != COMMON_NAME && kind != ORGANIZATION {
            return Some(());
        }
        let (tag, bytes, _) = value(rest)?;
        if !matches!(tag, UTF8 | PRINTABLE | IA5) {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?.to_owned();
        match kind {
            // As in Go, the last one counts.
            COMMON_NAME => self.common_name = text,
            _ => self.organizations.push(text),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["host".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, name) in names {
            params.distinguished_name.push(kind.clone(), *name);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn a_user_and_a_group_are_found() {
        let names = [
            (DnType::CountryName, "NZ"),
            (DnType::CommonName, "jürgen"),
            (DnType::OrganizationName, "system:masters"),
        ];
        let subject = Subject::of(&certificate(&names)).unwrap();
        assert_eq!(subject.common_name, "jürgen");
        assert_eq!(subject.organizations, ["system:masters"]);
        assert_eq!(Subject::of(&certificate(&[])), Some(Subject::default()));
    }

    proptest! {
        /// Whatever was cut off or changed, the answer is a subject or none, and no panic.
        #[test]
        fn broken_certificates_break_nothing(cut in 0_usize..400, at in 0_usize..400, byte: u8) {
            let mut whole = certificate(&[(DnType::CommonName, "a")]);
            let at = at % whole.len();
            whole[at] = byte;
            whole.truncate(cut);
            let _ = Subject::of(&whole);
        }
    }
}
