//! The whole program, for every binary that runs a buddy alone.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{PollingArgs, UplinkArgs},
    run::Buddy,
};

/// Runs `heapster buddy` and `heapster-buddy` until SIGTERM or SIGINT.
///
/// # Errors
/// A sentence for the user.
pub fn run(polling: PollingArgs, uplink: &UplinkArgs) -> anyhow::Result<()> {
    let uplink = uplink.config().map_err(anyhow::Error::msg)?;
    let buddy = Buddy::build(polling, uplink)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let cancel = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = cancel.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stop.cancel();
        });
        buddy.run(cancel).await
    })
}
