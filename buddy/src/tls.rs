//! Whom this program trusts when it connects by TLS, or is connected to.

use std::sync::Arc;

use heapster_shared::tls::WhoeverHasTheKey;
pub(crate) use heapster_shared::tls::system_roots;
use rustls::{client::danger::ServerCertVerifier, server::danger::ClientCertVerifier};

/// Accepts whatever certificate a host shows, for people who say explicitly that they want that.
/// That the host has the certificate's key is still verified.
pub(crate) fn anybody() -> Arc<dyn ServerCertVerifier> {
    Arc::new(WhoeverHasTheKey::new())
}

/// Accepts whatever certificate a client shows, or none, for servers that look later who has signed
/// it. That the client has the certificate's key is verified.
pub(crate) fn any_client() -> Arc<dyn ClientCertVerifier> {
    Arc::new(WhoeverHasTheKey::new())
}
