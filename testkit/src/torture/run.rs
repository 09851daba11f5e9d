//! A run: faults, then what must be true.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context;
use heapster_shared::tick::unix_ms;

use super::{
    Options, Report, database,
    fault::Fault,
    lab::{Lab, Stored},
    oracle::Findings,
    plan::{self, Step},
};

/// How often the databases are asked while something is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// Tortures, and looks; `say` is told what happens. What broke a promise is in the report.
///
/// # Errors
/// When the programs or databases cannot be run at all.
pub async fn run(options: &Options, say: &mut dyn FnMut(&str)) -> anyhow::Result<Report> {
    let seed = options.seed.unwrap_or_else(rand::random);
    let mut lab = Lab::start(options, seed).await?;
    let result = torture(&mut lab, options, seed, say).await;
    if let Some(folder) = &options.keep_logs {
        lab.keep_logs(folder)?;
    }
    result
        .with_context(|| format!("seed {seed}; last words of the programs:\n{}", lab.last_words()))
}

async fn torture(
    lab: &mut Lab,
    options: &Options,
    seed: u64,
    say: &mut dyn FnMut(&str),
) -> anyhow::Result<Report> {
    let began = Instant::now();
    if let Some(reason) = lab.no_own_disk() {
        say(&format!("no disk is filled, for none can be mounted: {reason}"));
    }
    let steps = plan::steps(options, seed, lab.no_own_disk().is_none());
    wait_for_fresh(lab, 0, options.patience).await.context("before the first fault")?;
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for (number, step) in steps.iter().enumerate() {
        let faults = [Some(step.fault), step.beside].into_iter().flatten();
        let names: Vec<&str> = faults.map(Fault::name).collect();
        names.iter().for_each(|name| *counts.entry(name).or_default() += 1);
        say(&format!("{:4}/{}  {}", number + 1, steps.len(), names.join(", and ")));
        let done = take(lab, step).await;
        done.with_context(|| format!("step {}: {}", number + 1, names.join(", and ")))?;
    }
    let mended = Instant::now();
    let mended_ms = unix_ms();
    let fresh = wait_for_fresh(lab, mended_ms, options.patience).await;
    let fresh_after = fresh.is_ok().then(|| mended.elapsed());
    let (rows, findings) = wait_for_all(lab, mended + options.patience).await?;
    let delivered_after = mended.elapsed();
    let rates = database::rates(&lab.influxdb).await?;
    Ok(Report {
        seed,
        options: options.clone(),
        counts,
        took: began.elapsed(),
        rows,
        findings,
        rates: rates.len(),
        impossible_rates: lab.oracle().impossible_rates(&rates),
        peaks: lab.memory.peaks(),
        longest_stop: lab.longest_stop,
        fresh_after,
        delivered_after,
        disks_were_filled: lab.no_own_disk().is_none(),
        notes: std::mem::take(&mut lab.notes),
    })
}

/// Lets a step happen, and puts everything right again.
async fn take(lab: &mut Lab, step: &Step) -> anyhow::Result<()> {
    step.fault.begin(lab).await?;
    tokio::time::sleep(step.hold / 2).await;
    if let Some(beside) = step.beside {
        beside.begin(lab).await?;
    }
    tokio::time::sleep(step.hold / 2).await;
    step.fault.mend(lab).await?;
    if let Some(beside) = step.beside {
        tokio::time::sleep(step.hold / 2).await;
        beside.mend(lab).await?;
    }
    lab.check_alive()?;
    tokio::time::sleep(step.gap).await;
    lab.settle().await;
    Ok(())
}

/// Waits until each buddy has polled after this time, and both databases have it.
async fn wait_for_fresh(lab: &mut Lab, after_ms: i64, patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        lab.check_alive()?;
        if let Ok(stored) = lab.stored().await
            && is_fresh(lab, &stored, after_ms)
        {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "no fresh row within {patience:?}");
        tokio::time::sleep(LOOK).await;
    }
}

fn is_fresh(lab: &Lab, stored: &Stored, after_ms: i64) -> bool {
    let newest = |points: &[database::Point], cluster: usize| {
        let cluster = super::oracle::cluster_name(cluster);
        let own = points.iter().filter(|point| point.cluster == cluster);
        own.map(|point| point.time_ms).max().unwrap_or_default()
    };
    (0..lab.buddies.len()).all(|cluster| {
        [&stored.influxdb, &stored.victoria].iter().all(|of| newest(of, cluster) > after_ms)
    })
}

/// Waits until nothing is missing, or the time is up. What must be there is what was polled up to
/// now, while polling goes on; what came since is no foreign row.
async fn wait_for_all(
    lab: &mut Lab,
    deadline: Instant,
) -> anyhow::Result<((usize, usize), [(&'static str, Findings); 2])> {
    let until_now = lab.oracle();
    loop {
        lab.check_alive()?;
        let stored = lab.stored().await?;
        let latest = lab.oracle();
        let judge = |points: &[database::Point]| {
            let lost = until_now.judge(points).lost;
            Findings { lost, ..latest.judge(points) }
        };
        let findings =
            [("InfluxDB", judge(&stored.influxdb)), ("VictoriaMetrics", judge(&stored.victoria))];
        let whole = findings.iter().all(|(_, findings)| findings.lost.is_empty());
        if whole || Instant::now() > deadline {
            return Ok(((latest.counts().0, until_now.counts().1), findings));
        }
        tokio::time::sleep(LOOK).await;
    }
}
