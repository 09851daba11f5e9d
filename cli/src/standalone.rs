//! `heapster standalone`: a master and a buddy in one process.

use std::{io::Write, net::Ipv4Addr, sync::Arc};

use anyhow::Context;
use heapster_buddy::{
    args::PollingArgs,
    run::Buddy,
    uplink::{Connect, UplinkConfig},
};
use heapster_master::{
    access::Within,
    args::MasterArgs,
    program::{Program, block_on, stop_signal},
    reload::ReadConfig,
    sinks::{CommonOptions, Configured},
};
use tokio_util::sync::CancellationToken;

use crate::console::Console;

/// Runs until it is told to stop.
pub(crate) fn run(
    master: MasterArgs,
    polling: PollingArgs,
    read: Option<ReadConfig>,
) -> anyhow::Result<()> {
    block_on(serve(prepared(master), polling, read))
}

/// The options with what standalone has by default.
pub(crate) fn prepared(mut master: MasterArgs) -> MasterArgs {
    let address = master.grpc_listen.get_or_insert_with(|| (Ipv4Addr::LOCALHOST, 0).into());
    // What never leaves the machine needs no word of warning, and no certificate.
    let stays_here = address.ip().is_loopback() && master.listen.ip().is_loopback();
    master.insecure |= stays_here && master.access.tls_cert.is_none();
    master
}

async fn serve(
    master: MasterArgs,
    polling: PollingArgs,
    read: Option<ReadConfig>,
) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let console = Arc::new(Console::new(polling.cluster.clone()));
    let program = Program::build(&master, vec![configured(Arc::clone(&console))], read)?;
    let scheme = if master.access.tls_cert.is_some() { "https" } else { "http" };
    let page = format!("{scheme}://{}", program.http_address());
    console.attach(program.status(), format!("{page}/validate"));
    let buddy = Buddy::build(polling, UplinkConfig::within(connect(program.within())))?;
    greet(&page, &buddy, &master);

    beside_master(program, stop.clone(), buddy.run(stop)).await?
}

/// Runs the master and what sends to it, each in a task, until both have ended; the end of one is
/// that of the other. What sends goes first, so that the master can still acknowledge what it had.
pub(crate) async fn beside_master<T: Send + 'static>(
    program: Program,
    stop: CancellationToken,
    sender: impl Future<Output = T> + Send + 'static,
) -> anyhow::Result<T> {
    let master_stop = CancellationToken::new();
    let master = tokio::spawn(program.run(master_stop.clone()));
    let sender = tokio::spawn(sender);
    let (sent, master) = tokio::join!(
        async {
            let ended = sender.await;
            master_stop.cancel();
            ended
        },
        async {
            let ended = master.await;
            stop.cancel();
            ended
        }
    );
    master.context("the master failed inside")??;
    sent.context("what polls beside the master failed inside")
}

/// How the buddies of this process reach its master.
pub(crate) fn connect(master: Within) -> Connect {
    Arc::new(move || {
        let master = master.clone();
        Box::pin(async move { master.connect().await })
    })
}

/// The console as a sink that gets what there is at once.
fn configured(console: Arc<Console>) -> Configured {
    let options = CommonOptions { flush_interval: std::time::Duration::ZERO, ..Default::default() };
    Configured { name: "console".to_owned(), kind: "console".to_owned(), options, sink: console }
}

/// Says what was found and where to look.
fn greet(page: &str, buddy: &Buddy, master: &MasterArgs) {
    let sinks: Vec<String> = master.sinks.iter().map(heapster_shared::spec::Spec::name).collect();
    let sinks = match sinks.as_slice() {
        [] => "none; add one with --sink 'influxdb:http://127.0.0.1:8086?db=k8s'".to_owned(),
        sinks => sinks.join(", "),
    };
    let resolution = master.resolution.duration();
    let lines = [
        format!("{} is {}", heapster_shared::SOFTWARE.replace('/', " "), buddy.survey()),
        format!("  page   {page}/"),
        format!("  API    {page}/api/v1/model/nodes/"),
        format!("  sinks  {sinks}"),
        format!("A line every {resolution:?}; Ctrl-C ends."),
    ];
    // A closed terminal is no reason to stop measuring.
    let _ = writeln!(std::io::stdout().lock(), "{}", lines.join("\n"));
}
