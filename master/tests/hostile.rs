//! What a hostile or broken peer can do to a master: nothing that others would notice.
//!
//! Each test does something to the real listeners over a socket of its own, and then holds that the
//! peer was cut off or told why, that a buddy is served as before, that pages answer, and that the
//! count of connections is what it was.

#![allow(clippy::unwrap_used, unreachable_pub)] // the harness is a module of these tests alone

#[path = "hostile/bounds.rs"]
mod bounds;
#[path = "hostile/frames.rs"]
mod content;
#[allow(dead_code)] // shared with the tests of sessions
#[path = "session/frames.rs"]
mod frames;
#[allow(dead_code)] // shared with the tests of sessions
#[path = "session/harness.rs"]
mod harness;
#[path = "hostile/pages.rs"]
mod pages;
#[path = "hostile/tls.rs"]
mod tls;
#[path = "hostile/transport.rs"]
mod transport;
#[path = "hostile/wire.rs"]
mod wire;

use harness::{Bench, eventually, hello};
use heapster_master::status::StatusSource as _;
use heapster_proto::v1::delivery::Outcome;

/// A buddy is served, pages answer, and no connection but those of before is left.
async fn all_is_well(bench: &Bench, connections: usize) {
    let buddy = bench.hello(hello("healthy", "one")).await.unwrap();
    let mut live = buddy.stream(0).await;
    live.send(1, frames::container(1)).await;
    assert_eq!(live.answered(1).await.outcome(), Outcome::Delivered);
    drop((live, buddy));
    if bench.ca.is_none() {
        pages::is_healthy(bench.http).await;
    }
    eventually("the connections are gone", async || bench.status.connections().open == connections)
        .await;
}
