//! Whom this program trusts when it connects by TLS.

use rustls::RootCertStore;

/// The certificates that this machine trusts; a file or directory of others can be named in the
/// environment as `SSL_CERT_FILE` or `SSL_CERT_DIR`. Where there are none the store is empty, which
/// is an error only for who connects by TLS.
pub(crate) fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}
