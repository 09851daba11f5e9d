//! The source `resource`: polls what the kubelet tells autoscalers, CPU and memory and nothing else,
//! with times to the millisecond.
//!
//! The time of a reading is that of its CPU's sample, without one that of the memory's. What has
//! neither CPU nor memory that is more than zero was not measured, and is left out. What the kubelet
//! says of pods as a whole is not used: pods are the sums of their containers.

#[cfg(test)]
mod tests;

use heapster_shared::{row::Cell, schema::table};

use super::{
    Kind, Layouts, Readings, Recorder, Shapes,
    fetch::FetchError,
    kubelet::{self, Document, Grouped, Names, Timed, Who, cell, malformed, seconds_to_ms},
    prometheus::{self, Labels, Malformed, Sample, unescaped},
};

/// The entry in the table of sources.
pub(super) const KIND: Kind = kubelet::kind::<Resource>(
    "CPU and memory of node and containers as the kubelet gives them to autoscalers: the lightest",
    &[
        "resource",
        "resource?tls=node-name&ca=/etc/heapster/kubelet-ca.pem",
        "resource?proxy=http://127.0.0.1:8001",
        "resource:https://10.0.0.7:10250?name=node-7&token_file=/etc/heapster/token&tls=skip",
    ],
);

/// `/metrics/resource`.
pub(super) struct Resource;

impl Document for Resource {
    const KIND: &'static str = "resource";
    const PATH: &'static str = "/metrics/resource";
    const SINCE: &'static str = "since 1.18; use the source summary";

    fn read(
        url: &str,
        text: &str,
        shapes: &mut Shapes,
        layouts: &Layouts,
    ) -> Result<Readings, FetchError> {
        let mut answer = Answer::default();
        let mut family = None;
        for line in prometheus::lines(text) {
            if !line.is_same_name {
                family = Family::named(line.name);
            }
            let Some(family) = family else { continue };
            let sample = line.sample().and_then(|sample| answer.add(family, &sample));
            sample.map_err(|wrong| malformed(url, &line, wrong))?;
        }
        if answer.failed {
            let wrong = "the kubelet could not read what its containers use (scrape_error); its log says why";
            return Err(FetchError::failed(url, wrong));
        }
        let readings = answer.readings(Recorder::new(shapes, layouts));
        if readings.is_empty() {
            let wrong = "the answer has no sample with a time of the node or a container; is that a kubelet?";
            return Err(FetchError::failed(url, wrong));
        }
        Ok(readings)
    }
}

/// The metrics that are used.
#[derive(Clone, Copy)]
enum Family {
    NodeCpu,
    NodeMemory,
    ContainerCpu,
    ContainerMemory,
    ContainerStart,
    Error,
}

impl Family {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "node_cpu_usage_seconds_total" => Self::NodeCpu,
            "node_memory_working_set_bytes" => Self::NodeMemory,
            "container_cpu_usage_seconds_total" => Self::ContainerCpu,
            "container_memory_working_set_bytes" => Self::ContainerMemory,
            "container_start_time_seconds" => Self::ContainerStart,
            // Since 1.29 it has the longer name.
            "scrape_error" | "resource_scrape_error" => Self::Error,
            _ => return None,
        })
    }
}

/// What the text says, thing by thing.
#[derive(Default)]
struct Answer<'a> {
    node: Usage,
    containers: Grouped<Key<'a>, Usage>,
    failed: bool,
}

/// Which container; as written, escapes and all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Key<'a> {
    namespace: &'a str,
    pod: &'a str,
    container: &'a str,
}

/// What is measured of one thing.
#[derive(Clone, Copy, Default)]
struct Usage {
    cpu: Option<Timed>,
    memory: Option<Timed>,
    start_time_ms: i64,
}

impl<'a> Answer<'a> {
    fn add(&mut self, family: Family, sample: &Sample<'a>) -> Result<(), Malformed> {
        let value = Some(Timed::from(sample)).filter(|timed| timed.value > 0.0);
        match family {
            Family::NodeCpu => self.node.cpu = value,
            Family::NodeMemory => self.node.memory = value,
            Family::ContainerCpu => self.containers.of(Key::of(sample.labels)?).cpu = value,
            Family::ContainerMemory => self.containers.of(Key::of(sample.labels)?).memory = value,
            Family::ContainerStart => {
                let start_time_ms = seconds_to_ms(sample.value);
                self.containers.of(Key::of(sample.labels)?).start_time_ms = start_time_ms;
            }
            Family::Error => self.failed |= sample.value != 0.0,
        }
        Ok(())
    }

    fn readings(&self, mut recorder: Recorder<'_>) -> Readings {
        let mut names = Names::default();
        if let Some(time_ms) = self.node.time_ms()
            && names.begin_node(&mut recorder)
        {
            self.node.record(&mut recorder, time_ms);
        }
        for (key, usage) in self.containers.things() {
            let Some(time_ms) = usage.time_ms() else { continue };
            let [namespace, pod, name] = [key.namespace, key.pod, key.container].map(unescaped);
            let who = Who { namespace: &namespace, pod: &pod, pod_uid: "" };
            if names.begin_container(&mut recorder, who, &name, ("", "")) {
                usage.record(&mut recorder, time_ms);
            }
        }
        recorder.finish()
    }
}

impl<'a> Key<'a> {
    fn of(mut labels: Labels<'a>) -> Result<Self, Malformed> {
        let mut key = Self::default();
        while let Some(label) = labels.next()? {
            match label.name {
                "namespace" => key.namespace = label.raw,
                "pod" => key.pod = label.raw,
                "container" => key.container = label.raw,
                _ => {}
            }
        }
        if key.namespace.is_empty() || key.pod.is_empty() || key.container.is_empty() {
            return Err(Malformed);
        }
        Ok(key)
    }
}

impl Usage {
    /// None where nothing was measured.
    fn time_ms(&self) -> Option<i64> {
        let times = [self.cpu, self.memory].into_iter().flatten().map(|timed| timed.time_ms);
        times.into_iter().find(|time_ms| *time_ms > 0)
    }

    /// Records a thing whose reading has begun.
    fn record(&self, recorder: &mut Recorder<'_>, time_ms: i64) {
        let of = |timed: Option<Timed>, factor| {
            timed.map_or(Cell::ABSENT, |timed| cell(timed.value, factor))
        };
        recorder.plain(table::CPU_USAGE, of(self.cpu, 1e9));
        recorder.plain(table::MEMORY_WORKING_SET, of(self.memory, 1.0));
        recorder.end(time_ms, self.start_time_ms);
    }
}
