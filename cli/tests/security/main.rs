//! Who may connect, tried with the real programs: certificates and tokens as the commands make them,
//! what each mistake is told, what follows from a changed file, and where secrets do not appear.

#![allow(clippy::unwrap_used)] // The helpers here are tests too; clippy does not see that.

mod conformance;
mod exchanged;
mod http;
mod mistakes;
mod pasted;
mod secrets;
mod support;
