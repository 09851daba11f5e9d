//! What the actors know and compute, without actors, clocks or sockets; time is an argument.

pub mod aggregate;
pub mod assign;
pub mod cursors;
pub mod delivered;
pub mod entities;
pub mod inventory;
pub mod model;
pub(crate) mod packed;
pub mod room;
pub mod roster;
pub mod sink_set;
pub mod windows;
