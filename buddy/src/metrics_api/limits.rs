//! What a client may cost before it is recognised.

use std::time::Duration;

/// The bounds of connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionLimits {
    /// Connections at a time; more wait to be accepted.
    pub connections: usize,
    /// What the handshake of TLS may take.
    pub handshake_within: Duration,
    /// What a request's head may take, from the end of the answer before it; so an idle connection
    /// is closed after this, too.
    pub head_within: Duration,
    /// How long a client may take no byte of its answer.
    pub byte_within: Duration,
    /// The largest head of a request.
    pub head_bytes: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            handshake_within: Duration::from_secs(10),
            head_within: Duration::from_secs(30),
            byte_within: Duration::from_secs(30),
            head_bytes: 64 * 1024,
        }
    }
}
