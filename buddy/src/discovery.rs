//! Discovery: what finds hosts. One file a kind; this one has the contract and the table.
//!
//! A discovery emits full lists, never partial ones. On an error the last good list stands, and
//! the error is shown; an empty list is a valid list only where the manager really says so. To add
//! a kind, write its file and its word in the list below.

mod address;
#[doc(hidden)]
pub mod door;
mod entry;
mod left_out;
mod refresh;
mod web;

use async_trait::async_trait;
use heapster_shared::{
    host::Host,
    spec::{Spec, SpecError},
};

pub use refresh::{Listing, spawn};

/// Finds the hosts of a cluster.
#[async_trait]
pub trait Discovery: Send {
    /// All hosts as they are now.
    ///
    /// # Errors
    /// When no full list could be had; the caller keeps the last one and tries again with backoff.
    async fn list(&mut self) -> Result<Vec<Host>, DiscoveryError>;

    /// Returns when the list may have changed since the last [`Discovery::list`]; dropping the
    /// future loses nothing. Kinds that cannot tell never return, and are listed on an interval.
    async fn changed(&mut self) {
        std::future::pending().await
    }

    /// Entries of the newest list that had to be left out, each with where and why, for kinds whose
    /// entries come from many hands: one bad entry must not hide the good ones, nor be hidden.
    fn left_out(&self) -> &[String] {
        &[]
    }
}

/// Why no list could be had: a sentence that says where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DiscoveryError(pub String);

/// An entry of the table of discoveries.
pub struct Kind {
    /// The word in front of the colon.
    pub name: &'static str,
    /// What it finds, in a sentence.
    pub summary: &'static str,
    /// Specs that work as written, for the docs; a test builds each.
    pub samples: &'static [&'static str],
    /// Checks the options and makes a discovery, without touching the network.
    pub build: fn(Spec) -> Result<Box<dyn Discovery>, SpecError>,
}

/// Declares the modules of the discoveries and their table.
macro_rules! discoveries {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every kind of discovery.
        pub const KINDS: &[Kind] = &[$($module::KIND),*];
    };
}

discoveries! { consul, dns, docker, etcd, fleet, http_sd, kubernetes, nomad, static_file, swarm }

/// Makes the discovery that a spec names.
///
/// # Errors
/// When the kind is unknown or its options are wrong.
pub fn build(spec: Spec) -> Result<Box<dyn Discovery>, SpecError> {
    let Some(kind) = KINDS.iter().find(|kind| kind.name == spec.kind) else {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        return Err(spec.unknown_kind("discovery", &known));
    };
    (kind.build)(spec)
}
