//! What the master and the buddies both speak: metrics, entities and labels, rows, ticks, backoff,
//! `KIND:LOCATION?OPTIONS` specifications, the loading of configuration, and who may connect.
//!
//! Nothing here opens a socket or starts a task; time is always an argument.

pub mod access;
pub mod backoff;
pub mod config;
pub mod entity;
pub mod event;
pub mod glob;
pub mod host;
pub mod row;
pub mod schema;
pub mod secret;
pub mod spec;
pub mod tag;
pub mod tick;
pub mod tls;
pub mod units;

/// A hash map with a fast, seeded hash; for keys that are not chosen by an attacker at will.
pub type Map<K, V> = hashbrown::HashMap<K, V, foldhash::fast::RandomState>;
/// The set that goes with [`Map`].
pub type Set<K> = hashbrown::HashSet<K, foldhash::fast::RandomState>;

/// `name/version` as this program calls itself towards others.
pub const SOFTWARE: &str = concat!("heapster/", env!("CARGO_PKG_VERSION"));
