//! The lines of the table: what each says, and how it is worked out from a run.

#![allow(clippy::cast_precision_loss)] // Nothing here is counted to fifty bits.

use std::time::Duration;

use super::super::{
    kubernetes::List,
    machine::cores,
    run::{KubernetesFindings, Run},
    trust::Load,
};

/// A line of the table.
pub(super) type Row = (&'static str, fn(&Run) -> String);

/// The lines for some runs: those about the API server only where there is one.
pub(super) fn of(runs: &[Run]) -> impl Iterator<Item = Row> {
    let kubernetes = runs.iter().any(|run| run.kubernetes.is_some());
    let of_kubernetes = if kubernetes { &KUBERNETES[..] } else { &[] };
    COST.iter().chain(&TIMES).chain(of_kubernetes).chain(&TRUTH).copied()
}

const COST: [Row; 13] = [
    ("rounds measured", |run| run.rounds.to_string()),
    ("hosts that gave rows in the last round", |run| run.last.healthy_hosts().to_string()),
    ("entities", |run| run.after.cluster.entities.to_string()),
    ("samples a second", |run| format!("{:.0}", run.samples() / run.seconds())),
    ("buddy: CPU ms per host poll", |run| {
        format!("{:.3}", run.cpu_per_poll(run.before.buddy.cpu, run.after.buddy.cpu))
    }),
    ("master: CPU ms per host poll", |run| {
        format!("{:.3}", run.cpu_per_poll(run.before.master.cpu, run.after.master.cpu))
    }),
    ("simulation: CPU ms per host poll", |run| {
        format!("{:.3}", run.cpu_per_poll(run.before.sim.cpu, run.after.sim.cpu))
    }),
    ("requests per host poll", |run| {
        let requests = run.after.sim_state.answers - run.before.sim_state.answers;
        format!("{:.1}", requests as f64 / run.polls())
    }),
    ("KiB polled per host poll", |run| {
        let bytes = run.after.sim_state.answer_bytes - run.before.sim_state.answer_bytes;
        format!("{:.0}", bytes as f64 / run.polls() / 1024.0)
    }),
    ("buddy: memory, steady / peak", |run| {
        memory(run.after.buddy.rss_bytes, run.after.buddy.peak_bytes)
    }),
    ("master: memory, steady / peak", |run| {
        memory(run.after.master.rss_bytes, run.after.master.peak_bytes)
    }),
    ("wire bytes per sample, buddy to master", |run| {
        format!("{:.2}", run.sent_bytes() / run.samples())
    }),
    ("wire bytes per row, buddy to master / back", |run| {
        let rows = (run.after.cluster.rows - run.before.cluster.rows) as f64;
        let back = run.after.received_bytes - run.before.received_bytes;
        format!("{:.1} / {:.1}", run.sent_bytes() / rows, back as f64 / rows)
    }),
];

const TIMES: [Row; 4] = [
    ("rounds that were complete, of those that passed", |run| {
        format!("{} of {}", run.complete_rounds.0, run.complete_rounds.1)
    }),
    ("tick to the end of its round, in the model: median / longest", |run| {
        median_and_longest(&run.latencies.rounds)
    }),
    ("tick to a host's sample in the model: median / longest", |run| {
        median_and_longest(&run.latencies.model)
    }),
    ("poll of a host that answers: median / longest", |run| {
        median_and_longest(&run.last.poll_times())
    }),
];

const KUBERNETES: [Row; 4] = [
    ("tick to `kubectl top node`: median / longest", |run| {
        median_and_longest(&run.latencies.metrics_api)
    }),
    ("requests to the API server: until all is known / in the measured rounds", |run| {
        let (before, after) = (run.before.api_requests, run.after.api_requests);
        format!("{before} / {}", after.saturating_sub(before))
    }),
    ("list of all nodes at the metrics API / gzipped", |run| list(run, |found| &found.nodes)),
    ("list of all pods at the metrics API / gzipped", |run| list(run, |found| &found.pods)),
];

const TRUTH: [Row; 3] = [
    ("values compared with the truth: wrong, series missing", |run| {
        let verdict = &run.verdict;
        format!("{}: {}, {}", verdict.compared, verdict.wrong, verdict.missing)
    }),
    ("largest distance from the mean rate (2 % is the simulation's own)", |run| {
        format!("{:.2} %", run.verdict.worst * 100.0)
    }),
    ("cores busy: on average / in the busiest second", |run| {
        let load = Load::of(run);
        format!("{:.2} / {:.2} of {}", load.busy, load.busiest, cores())
    }),
];

impl Run {
    fn polls(&self) -> f64 {
        self.size.living() as f64 * f64::from(self.rounds)
    }

    fn seconds(&self) -> f64 {
        self.after.at.duration_since(self.before.at).as_secs_f64()
    }

    fn samples(&self) -> f64 {
        (self.after.cluster.samples - self.before.cluster.samples) as f64
    }

    fn sent_bytes(&self) -> f64 {
        (self.after.sent_bytes - self.before.sent_bytes) as f64
    }

    fn cpu_per_poll(&self, before: Duration, after: Duration) -> f64 {
        after.saturating_sub(before).as_secs_f64() * 1000.0 / self.polls()
    }
}

fn memory(steady: u64, peak: u64) -> String {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    format!("{:.0} / {:.0} MiB", mib(steady), mib(peak))
}

fn median_and_longest(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort();
    match (sorted.get(sorted.len() / 2), sorted.last()) {
        (Some(median), Some(longest)) => format!("{} / {}", seconds(*median), seconds(*longest)),
        _ => "not measured".to_owned(),
    }
}

fn seconds(duration: Duration) -> String {
    if duration < Duration::from_millis(100) {
        return format!("{} ms", duration.as_millis());
    }
    format!("{:.2} s", duration.as_secs_f64())
}

fn list(run: &Run, which: fn(&KubernetesFindings) -> &List) -> String {
    let Some(list) = run.kubernetes.as_ref().map(which) else { return String::new() };
    format!(
        "{}, {} / {}, {}",
        seconds(list.took),
        size(list.bytes),
        seconds(list.gzip_took),
        size(list.gzip_bytes)
    )
}

fn size(bytes: usize) -> String {
    let kib = bytes as f64 / 1024.0;
    if kib < 1024.0 { format!("{kib:.0} KiB") } else { format!("{:.1} MiB", kib / 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let times = [3000, 1000, 2000].map(Duration::from_millis);
        assert_eq!(median_and_longest(&times), "2.00 s / 3.00 s");
        assert_eq!(seconds(Duration::from_micros(7900)), "7 ms");
        assert_eq!(median_and_longest(&[]), "not measured");
        assert_eq!(memory(25 << 20, 28 << 20), "25 / 28 MiB");
        assert_eq!((size(2048), size(3 << 19)), ("2 KiB".into(), "1.5 MiB".into()));
    }
}
