//! A buddy as a program of its own: until a signal ends it.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{PollingArgs, UplinkArgs},
    run::Buddy,
};

/// Runs a buddy until SIGTERM or SIGINT, and drains it.
///
/// # Errors
/// A sentence for the user: an option is wrong, or the master refuses this buddy.
pub fn run(polling: PollingArgs, uplink: &UplinkArgs) -> anyhow::Result<()> {
    let uplink = uplink.config().map_err(anyhow::Error::msg)?;
    let buddy = Buddy::build(polling, uplink)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = stop_signal()?;
        buddy.run(stop).await
    })
}

/// Cancelled by SIGTERM and SIGINT.
fn stop_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopped.cancel();
    });
    Ok(stop)
}
