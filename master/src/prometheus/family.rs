//! Families: a metric at a level, under the name, unit and type that Prometheus knows it by.

use heapster_shared::{
    entity::Level,
    schema::{Kind, Metric, MetricDef, Unit, table},
};

/// A metric at a level.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Family {
    /// Its name, legal and with its unit; that of a counter ends with `_total`.
    pub(crate) name: String,
    /// Whether it is a counter; else it is a gauge.
    pub(crate) is_counter: bool,
    /// The base unit that its name has, `seconds` or the like; empty for none.
    pub(crate) unit: &'static str,
    /// What values of the metric are divided by to be in that unit.
    pub(crate) divisor: f64,
    /// What it says, in a sentence.
    pub(crate) help: String,
}

/// Every level.
pub(crate) const LEVELS: [Level; 6] = [
    Level::Cluster,
    Level::Namespace,
    Level::Node,
    Level::Pod,
    Level::PodContainer,
    Level::SysContainer,
];

/// The place of a level among [`LEVELS`].
pub(crate) const fn level_index(level: Level) -> usize {
    match level {
        Level::Cluster => 0,
        Level::Namespace => 1,
        Level::Node => 2,
        Level::Pod => 3,
        Level::PodContainer => 4,
        Level::SysContainer => 5,
    }
}

impl Family {
    /// The family of a metric at a level.
    pub(crate) fn of(metric: &Metric, level: Level) -> Self {
        let (what, unit, divisor, help) = match metric {
            Metric::Known(def) => known(def),
            // Its unit is in its buddy's own words, which are no base unit.
            Metric::Custom(custom) => {
                (legal(&custom.name), "", 1.0, "A metric of a container's own.".to_owned())
            }
        };
        let is_counter = metric.kind() == Kind::Cumulative;
        let what = match what.strip_suffix("_total") {
            Some(rest) if is_counter => rest,
            _ => &what,
        };
        let mut name = format!("heapster_{}_{what}", word(level));
        if !unit.is_empty() && !name.ends_with(&format!("_{unit}")) {
            name = format!("{name}_{unit}");
        }
        if is_counter {
            name.push_str("_total");
        }
        Self { name, is_counter, unit, divisor, help }
    }

    /// `counter` or `gauge`.
    pub(crate) const fn kind(&self) -> &'static str {
        if self.is_counter { "counter" } else { "gauge" }
    }
}

/// The name without level and unit, the unit, what to divide by, and the help.
fn known(def: &MetricDef) -> (String, &'static str, f64, String) {
    // What only nodes have need not say so twice.
    let name = legal(def.name).replacen("_node_", "_", 1);
    let help = def.description.to_owned();
    let counter = def.rate_of.and_then(table::by_id);
    let Some(counter) = counter.filter(|_| def.unit == Unit::PerSecond) else {
        let (unit, divisor) = base(def.unit);
        let name = if def.rate_of.is_some() { name.trim_end_matches("_rate") } else { &name };
        return (name.to_owned(), unit, divisor, help);
    };
    let what = name.trim_end_matches("_rate");
    let (of, _) = base(counter.unit);
    let what = match of {
        "" => what.to_owned(),
        of if what.ends_with(of) => what.to_owned(),
        of => format!("{what}_{of}"),
    };
    (what, "per_second", 1.0, help)
}

/// The base unit, and what values are divided by to be in it.
const fn base(unit: Unit) -> (&'static str, f64) {
    match unit {
        Unit::Count => ("", 1.0),
        Unit::Bytes => ("bytes", 1.0),
        Unit::Milliseconds => ("seconds", 1e3),
        Unit::Nanoseconds => ("seconds", 1e9),
        Unit::Millicores => ("cores", 1e3),
        Unit::Percent => ("ratio", 1e2),
        Unit::Ratio => ("ratio", 1.0),
        Unit::PerSecond => ("per_second", 1.0),
    }
}

/// A level as names have it.
const fn word(level: Level) -> &'static str {
    match level {
        Level::Cluster => "cluster",
        Level::Namespace => "namespace",
        Level::Node => "node",
        Level::Pod => "pod",
        Level::PodContainer => "container",
        Level::SysContainer => "system_container",
    }
}

/// A name with what Prometheus does not allow in names replaced. The colon, which it does allow, is
/// for names of recording rules.
fn legal(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use heapster_shared::schema::{CustomMetric, ValueType, table::METRICS};

    use super::*;

    fn named(name: &str, level: Level) -> (String, f64) {
        let family = Family::of(&Metric::Known(table::by_name(name).unwrap()), level);
        (family.name, family.divisor)
    }

    #[test]
    fn names_have_level_and_base_unit() {
        for (metric, level, name, divisor) in [
            ("cpu/usage", Level::PodContainer, "heapster_container_cpu_usage_seconds_total", 1e9),
            ("cpu/usage_rate", Level::Pod, "heapster_pod_cpu_usage_cores", 1e3),
            ("cpu/node_capacity", Level::Node, "heapster_node_cpu_capacity_cores", 1e3),
            ("memory/node_utilization", Level::Node, "heapster_node_memory_utilization_ratio", 1.0),
            ("memory/page_faults", Level::Node, "heapster_node_memory_page_faults_total", 1.0),
            (
                "memory/page_faults_rate",
                Level::Node,
                "heapster_node_memory_page_faults_per_second",
                1.0,
            ),
            ("network/rx", Level::Pod, "heapster_pod_network_rx_bytes_total", 1.0),
            ("network/rx_rate", Level::Pod, "heapster_pod_network_rx_bytes_per_second", 1.0),
            ("disk/io_read_bytes", Level::Node, "heapster_node_disk_io_read_bytes_total", 1.0),
            (
                "disk/io_read_bytes_rate",
                Level::SysContainer,
                "heapster_system_container_disk_io_read_bytes_per_second",
                1.0,
            ),
            (
                "accelerator/duty_cycle",
                Level::PodContainer,
                "heapster_container_accelerator_duty_cycle_ratio",
                1e2,
            ),
            ("memory/usage", Level::Namespace, "heapster_namespace_memory_usage_bytes", 1.0),
            ("restart_count", Level::Pod, "heapster_pod_restart_count", 1.0),
            ("uptime", Level::Node, "heapster_node_uptime_seconds_total", 1e3),
        ] {
            assert_eq!(named(metric, level), (name.to_owned(), divisor), "{metric}");
        }
    }

    /// Two metrics under one name would be one series with two values at a time.
    #[test]
    fn no_two_metrics_share_a_name() {
        let mut names = BTreeSet::new();
        for def in METRICS {
            for level in LEVELS {
                let family = Family::of(&Metric::Known(def), level);
                assert_eq!(family.is_counter, family.name.ends_with("_total"), "{family:?}");
                assert!(names.insert(family.name.clone()), "{} is there twice", family.name);
            }
        }
    }

    #[test]
    fn custom_names_become_legal() {
        let family = |name: &str, kind| {
            let (name, unit) = (Arc::from(name), Arc::from("x"));
            let custom = CustomMetric { name, kind, value_type: ValueType::Double, unit };
            Family::of(&Metric::Custom(Arc::new(custom)), Level::Pod).name
        };
        assert_eq!(family("custom/a-b.c:d/e", Kind::Gauge), "heapster_pod_custom_a_b_c_d_e");
        let counter = "heapster_pod_custom_requests_total";
        assert_eq!(family("custom/requests", Kind::Cumulative), counter);
        assert_eq!(family("custom/requests_total", Kind::Cumulative), counter);
    }
}
