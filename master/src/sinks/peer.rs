//! What sinks that talk to a peer over a network have in common: where it is, whom to trust, as whom
//! to appear, and what its answers mean. The options have the same names for every sink.

mod answer;
mod http;
mod options;
mod stream;
mod tls;

pub(in crate::sinks) use answer::Answer;
pub(in crate::sinks) use http::HttpPeer;
pub(in crate::sinks) use options::{Credentials, PeerOptions, Verification};
pub(in crate::sinks) use stream::{Stream, connect, encrypt};
pub(in crate::sinks) use tls::client_config;
