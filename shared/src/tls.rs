//! Certificates and keys in files, and whom to trust: what both sides of a TLS connection need.
//!
//! Nothing here connects: what is made here is handed to whoever does.

mod client;
mod clients;
mod der;
mod expiry;
mod pem;
mod subject;
mod whoever;
mod words;

pub use client::{ClientTls, MasterIdentity};
pub use clients::{ClientTrust, Distrust};
pub use expiry::expiry;
pub use pem::{KeyFiles, KeyText, certificates};
pub use subject::Subject;
pub use whoever::WhoeverHasTheKey;
pub use words::{Expected, is_about_client, names, tls_error};

use rustls::RootCertStore;

/// The certificates that this machine trusts; a file or directory of others can be named in the
/// environment as `SSL_CERT_FILE` or `SSL_CERT_DIR`. Where there are none the store is empty, which
/// is an error only for who connects by TLS.
#[must_use]
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}
