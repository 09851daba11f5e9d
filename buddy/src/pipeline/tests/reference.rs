//! The pipeline once more, as plainly as it can be said: maps by name, nothing kept that could be
//! worked out again. What the pipeline gives is held against it.

use std::collections::BTreeMap;

use heapster_shared::{
    host::Host,
    row::{Cell, rate},
    schema::{Field, Kind, Metric, MetricDef, MetricId, ValueType, table},
};

use super::rows::{PlainRow, field_name};
use crate::source::{PlainReading, Subject};

const SUMMED: &str = "cpu/usage_rate cpu/request cpu/limit memory/request memory/limit memory/usage \
    memory/working_set memory/rss memory/cache memory/page_faults_rate \
    memory/major_page_faults_rate disk/io_read_bytes_rate disk/io_write_bytes_rate restart_count";
const REQUESTED: [&str; 4] = ["cpu/request", "cpu/limit", "memory/request", "memory/limit"];

/// Values by field, as its name and labels.
type Values = Vec<(Field, Cell)>;

#[derive(Default)]
pub(super) struct Reference {
    /// Of containers and the node.
    runs: BTreeMap<String, Run>,
    /// Of pods: who they are and when they had rows, and what was measured of them as a whole.
    pods: BTreeMap<String, (Run, Run)>,
}

#[derive(Clone, Default)]
struct Run {
    uid: String,
    start_ms: i64,
    newest: Option<Sample>,
    row_ms: Option<i64>,
    refused_ms: Option<i64>,
}

#[derive(Clone, Default)]
struct Sample {
    time_ms: i64,
    interval_ms: u32,
    measured: Values,
    increases: Values,
    lost: Vec<Field>,
}

fn get(values: &Values, field: &Field) -> Option<Cell> {
    values.iter().find(|(known, _)| known == field).map(|(_, cell)| *cell)
}

fn is_counter(field: &Field) -> bool {
    field.metric.kind() == Kind::Cumulative
}

/// The rates that are not measured themselves.
fn rates(measured: &Values, increases: &Values, interval_ms: u32) -> Values {
    let mut rates = Values::new();
    for (counter, increase) in increases {
        let Some(def) = counter.metric.rate() else { continue };
        let field = Field { metric: Metric::Known(def), labels: counter.labels.clone() };
        if get(measured, &field).is_none() {
            rates.push((field.clone(), rate(&field.metric, *increase, interval_ms)));
        }
    }
    rates
}

impl Sample {
    fn all(&self) -> Values {
        let rates = rates(&self.measured, &self.increases, self.interval_ms);
        self.measured.iter().cloned().chain(rates).collect()
    }
}

impl Run {
    /// Whether it was started again.
    fn identify(&mut self, uid: &str, start_ms: i64) -> bool {
        let renamed = !uid.is_empty() && !self.uid.is_empty() && uid != self.uid;
        let moved = start_ms != 0 && self.start_ms != 0 && (start_ms - self.start_ms).abs() > 2_000;
        if renamed || moved {
            *self = Self::default();
        }
        if self.uid.is_empty() {
            self.uid = uid.to_owned();
        }
        if self.start_ms == 0 {
            self.start_ms = start_ms;
        }
        renamed || moved
    }

    /// Whether a time is later than the one before, or the clock was set back.
    fn admits(&mut self, time_ms: i64, before_ms: i64) -> (bool, bool) {
        if time_ms == before_ms {
            return (false, false);
        }
        let set_back = time_ms < before_ms && self.refused_ms.is_some_and(|past| time_ms > past);
        let admitted = time_ms > before_ms || set_back;
        self.refused_ms = (!admitted).then_some(time_ms);
        (admitted, set_back)
    }

    /// The time since the row before; 0 for none.
    fn step(&mut self, time_ms: i64) -> Option<u32> {
        let mut since_ms = 0;
        if let Some(before_ms) = self.row_ms {
            let (admitted, set_back) = self.admits(time_ms, before_ms);
            if !admitted {
                return None;
            }
            since_ms = if set_back { 0 } else { (time_ms - before_ms) as u32 };
        }
        self.row_ms = Some(time_ms);
        Some(since_ms)
    }

    fn observe(&mut self, level: &str, reading: &PlainReading) -> bool {
        if let Some(before_ms) = self.newest.as_ref().map(|newest| newest.time_ms) {
            let (admitted, set_back) = self.admits(reading.time_ms, before_ms);
            if !admitted {
                return false;
            }
            if set_back {
                self.newest = None;
            }
        }
        let before = self.newest.take();
        let mut now = Sample { time_ms: reading.time_ms, ..Sample::default() };
        for (field, cell) in &reading.values {
            let belongs = match &field.metric {
                Metric::Known(def) => def.levels.iter().any(|known| known.label() == level),
                Metric::Custom(_) => true,
            };
            if belongs && get(&now.measured, field).is_none() {
                now.measured.push((field.clone(), *cell));
            }
        }
        if let Some(before) = &before {
            now.interval_ms = (now.time_ms - before.time_ms) as u32;
        }
        for (field, cell) in now.measured.iter().filter(|(field, _)| is_counter(field)) {
            let earlier = before.as_ref().and_then(|before| get(&before.measured, field));
            let grown = earlier.and_then(Cell::as_int).zip(cell.as_int());
            let grown = grown.filter(|(earlier, now)| *earlier >= 0 && now >= earlier);
            let is_integer = field.metric.value_type() == ValueType::Int64;
            let grown = grown.filter(|_| is_integer).map(|(earlier, now)| Cell::int(now - earlier));
            now.increases.push((field.clone(), grown.unwrap_or(Cell::ABSENT)));
        }
        let all = now.all();
        let earlier = before.map(|before| before.all()).unwrap_or_default();
        let lost = earlier.into_iter().map(|(field, _)| field);
        now.lost = lost.filter(|field| get(&all, field).is_none()).collect();
        self.newest = Some(now);
        true
    }

    fn row(&self, name: &str, labels: String, added: Values) -> PlainRow {
        let sample = self.newest.clone().unwrap_or_default();
        let times = (sample.time_ms, sample.interval_ms);
        let measured = sample.measured.into_iter().chain(added).collect();
        self.row_of(name, labels, times, measured, sample.increases)
    }

    fn row_of(
        &self,
        name: &str,
        labels: String,
        times: (i64, u32),
        mut cells: Values,
        increases: Values,
    ) -> PlainRow {
        cells.extend(rates(&cells, &increases, times.1));
        let up = (self.start_ms != 0 && times.0 >= self.start_ms).then(|| times.0 - self.start_ms);
        let uptime = Field::plain(table::UPTIME.def());
        cells.push((uptime, up.map_or(Cell::ABSENT, Cell::int)));
        let named =
            |values: Values| values.iter().map(|(f, cell)| (field_name(f), *cell)).collect();
        PlainRow {
            name: name.to_owned(),
            identity: (self.uid.clone(), self.start_ms),
            labels,
            times,
            cells: named(cells),
            increases: named(increases),
        }
    }
}

/// Sums of the fields that are wanted; absent where a part is absent or lost.
fn sums(parts: &[(Values, Vec<Field>)], wanted: impl Fn(&Field) -> bool) -> Values {
    let mut sums = Values::new();
    for (values, lost) in parts {
        let lost = lost.iter().map(|field| (field.clone(), Cell::ABSENT));
        for (field, cell) in values.iter().cloned().chain(lost).filter(|(field, _)| wanted(field)) {
            if get(&sums, &field).is_none() {
                sums.push((field.clone(), Cell::int(0)));
            }
            let sum = &mut sums.iter_mut().find(|(known, _)| *known == field).unwrap().1;
            *sum = match field.metric.value_type() {
                _ if sum.is_absent() || cell.is_absent() => Cell::ABSENT,
                ValueType::Int64 => Cell::int(sum.as_int().unwrap() + cell.as_int().unwrap()),
                ValueType::Double => Cell::real(sum.as_real().unwrap() + cell.as_real().unwrap()),
            };
        }
    }
    sums
}

fn is_summed(field: &Field) -> bool {
    matches!(field.metric, Metric::Custom(_))
        || SUMMED.split_whitespace().any(|name| name == field.metric.name())
}

/// Names along the lineage, the pod's name, its uid, the container's uid, and labels.
fn described(subject: &Subject) -> (String, String, String, String, String) {
    match subject {
        Subject::Node { labels } => {
            ("node".into(), String::new(), String::new(), String::new(), labels.joined(","))
        }
        Subject::Pod { pod, labels } => {
            let (name, uid) = (pod.name.to_string(), pod.uid.to_string());
            (format!("{name}<node"), name, uid, String::new(), labels.joined(","))
        }
        Subject::PodContainer { pod, name, uid, labels } => (
            format!("{name}<{}<node", pod.name),
            pod.name.to_string(),
            pod.uid.to_string(),
            uid.to_string(),
            labels.joined(","),
        ),
        Subject::SysContainer { name, uid, labels } => (
            format!("{name}<node"),
            String::new(),
            String::new(),
            uid.to_string(),
            labels.joined(","),
        ),
    }
}

impl Reference {
    /// The rows of one poll, in the order of their names. The namespace of all pods is `ns`.
    pub(super) fn advance(&mut self, host: &Host, readings: &[PlainReading]) -> Vec<PlainRow> {
        let mut things: BTreeMap<String, &PlainReading> = BTreeMap::new();
        let mut pods: BTreeMap<String, String> = BTreeMap::new();
        for reading in readings {
            let (name, pod, pod_uid, ..) = described(&reading.subject);
            things.entry(name).or_insert(reading);
            if !pod.is_empty() {
                let known = pods.entry(pod).or_default();
                *known = if known.is_empty() { pod_uid } else { std::mem::take(known) };
            }
        }
        self.runs.retain(|name, _| name == "node" || things.contains_key(name));
        self.pods.retain(|name, _| pods.contains_key(name));
        let mut rows = Vec::new();
        let mut requested = Vec::new();
        for (pod, uid) in &pods {
            self.pod(&mut rows, &mut requested, &things, pod, uid);
        }
        for (name, reading) in &things {
            if let Subject::SysContainer { .. } = reading.subject {
                rows.extend(self.container(name, reading, "sys_container"));
            }
        }
        rows.extend(self.node(host, things.get("node").copied(), &requested));
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows
    }

    fn container(&mut self, name: &str, reading: &PlainReading, level: &str) -> Option<PlainRow> {
        let (.., uid, labels) = described(&reading.subject);
        let run = self.runs.entry(name.to_owned()).or_default();
        run.identify(&uid, reading.start_time_ms);
        run.observe(level, reading).then(|| run.row(name, labels, Values::new()))
    }

    fn pod(
        &mut self,
        rows: &mut Vec<PlainRow>,
        requested: &mut Vec<(Values, Vec<Field>)>,
        things: &BTreeMap<String, &PlainReading>,
        pod: &str,
        uid: &str,
    ) {
        let name = format!("{pod}<node");
        let own = things.get(&name).copied();
        let (mut run, mut samples) = self.pods.remove(pod).unwrap_or_default();
        if run.identify(uid, own.map_or(0, |own| own.start_time_ms)) || own.is_none() {
            samples = Run::default();
        }
        let mut newest_ms = i64::MIN;
        let (mut cells, mut increases, mut interval_ms) = (Values::new(), Values::new(), None);
        if let Some(own) = own {
            newest_ms = own.time_ms;
            let is_new = samples.observe("pod", own);
            let sample = samples.newest.clone().unwrap_or_default();
            interval_ms = is_new.then_some(sample.interval_ms);
            let shown = |(field, cell): (Field, Cell)| {
                let stands = is_new || !is_counter(&field);
                (field, if stands { cell } else { Cell::ABSENT })
            };
            cells = sample.measured.into_iter().map(shown).collect();
            increases = sample.increases.into_iter().map(shown).collect();
        }
        let mut parts = Vec::new();
        let mut grown = Vec::new();
        for (container, reading) in things.iter().filter(|(it, _)| it.contains(&format!("<{pod}<")))
        {
            rows.extend(self.container(container, reading, "pod_container"));
            let sample = self.runs[container].newest.clone().unwrap_or_default();
            newest_ms = newest_ms.max(sample.time_ms);
            parts.push((sample.all(), sample.lost.clone()));
            grown.push((sample.increases.clone(), sample.lost.clone()));
            requested.push((sample.measured.clone(), Vec::new()));
        }
        let measured = cells.clone();
        let is_free = |field: &Field| is_summed(field) && get(&measured, field).is_none();
        cells.extend(sums(&parts, is_free));
        increases.extend(sums(&grown, |field| is_free(field) && is_counter(field)));
        let since_ms = run.step(newest_ms);
        let Some(since_ms) = since_ms else {
            self.pods.insert(pod.to_owned(), (run, samples));
            return;
        };
        let own_labels = own.map(|own| described(&own.subject).4).filter(|it| !it.is_empty());
        let labels = own_labels.into_iter().chain(["namespace_name:ns".into()]);
        let labels = labels.collect::<Vec<_>>().join(",");
        if !cells.is_empty() {
            let times = (newest_ms, interval_ms.unwrap_or(since_ms));
            rows.push(run.row_of(&name, labels, times, cells, increases));
        }
        self.pods.insert(pod.to_owned(), (run, samples));
    }

    /// Number of entities, the node always among them.
    pub(super) fn entity_count(&self) -> usize {
        let node = usize::from(!self.runs.contains_key("node"));
        self.runs.len() + self.pods.len() + node
    }

    fn node(
        &mut self,
        host: &Host,
        reading: Option<&PlainReading>,
        requested: &[(Values, Vec<Field>)],
    ) -> Option<PlainRow> {
        let reading = reading?;
        let Subject::Node { labels } = &reading.subject else { return None };
        let own = labels.iter().map(|(name, value)| format!("{name}:{value}"));
        let of_host =
            (!host.labels.is_empty()).then(|| format!("labels:{}", host.labels.joined(",")));
        let labels: Vec<String> = own.chain(of_host).collect();
        let run = self.runs.entry("node".into()).or_default();
        run.identify("", reading.start_time_ms);
        if !run.observe("node", reading) {
            return None;
        }
        let all = run.newest.as_ref().map(Sample::all).unwrap_or_default();
        let sums = sums(requested, |field| REQUESTED.contains(&field.metric.name()));
        let added = sums.iter().filter(|(field, _)| get(&all, field).is_none());
        let mut added: Values = added.cloned().collect();
        let value = |def: &'static MetricDef| {
            let cell_of = |values| get(values, &Field::plain(def))?.to_real(def.value_type);
            cell_of(&all).or_else(|| cell_of(&sums))
        };
        let memory = value(table::MEMORY_NODE_CAPACITY.def()).filter(|whole| *whole > 0.0);
        let cpu = value(table::CPU_NODE_CAPACITY.def()).filter(|whole| *whole > 0.0);
        let mut ratio = |id: MetricId, part: Option<f64>, whole| {
            if let (Some(part), Some(whole)) = (part, whole) {
                added.push((Field::plain(id.def()), Cell::real(part / whole)));
            }
        };
        let used = value(table::CPU_USAGE_RATE.def()).unwrap_or(f64::NAN);
        ratio(table::CPU_NODE_UTILIZATION, Some(used), cpu);
        ratio(table::CPU_NODE_RESERVATION, value(table::CPU_REQUEST.def()), cpu);
        ratio(table::MEMORY_NODE_UTILIZATION, value(table::MEMORY_USAGE.def()), memory);
        ratio(table::MEMORY_NODE_RESERVATION, value(table::MEMORY_REQUEST.def()), memory);
        Some(run.row("node", labels.join(","), added))
    }
}
