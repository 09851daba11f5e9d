//! How metrics are called by OpenTelemetry's semantic conventions, as of their version 1.40. What
//! they have no name for is `heapster.LEVEL.METRIC`.

use heapster_shared::{
    entity::Level,
    schema::{Field, Kind, Metric, Unit},
    tag,
};

/// What a metric is in OpenTelemetry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Instrument {
    /// A sum that only grows.
    Counter,
    /// A sum that goes both ways.
    UpDownCounter,
    /// Nothing that could be summed up.
    Gauge,
}

/// A metric under its name in OpenTelemetry.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Name {
    pub(super) name: String,
    /// As UCUM writes it.
    pub(super) unit: &'static str,
    /// What values are divided by to be in that unit.
    pub(super) divisor: f64,
    pub(super) instrument: Instrument,
    /// What tells its points apart, beside the labels of the field.
    pub(super) attributes: Vec<(&'static str, String)>,
    /// Whether the labels of the field are among the attributes already.
    pub(super) has_labels: bool,
}

/// A name without level: what stands behind its prefix, the unit, the divisor, the instrument.
type Known = (&'static str, &'static str, f64, Instrument);

const CPU: f64 = 1e3;
const NANOSECONDS: f64 = 1e9;

/// The name of a field at a level.
pub(super) fn name(field: &Field, level: Level) -> Name {
    if let Some(name) = on_filesystem(field, level).or_else(|| with_direction(field, level)) {
        return name;
    }
    let known = match &field.metric {
        Metric::Known(def) => plain(def.name, level),
        Metric::Custom(_) => None,
    };
    match known {
        Some((name, known)) => named(name, known, Vec::new(), false),
        None => own(field, level),
    }
}

fn named(
    name: String,
    (_, unit, divisor, instrument): Known,
    attributes: Vec<(&'static str, String)>,
    has_labels: bool,
) -> Name {
    Name { name, unit, divisor, instrument, attributes, has_labels }
}

/// The prefix of a level's names; sums over a namespace or cluster have none.
const fn prefix(level: Level) -> Option<&'static str> {
    match level {
        Level::Cluster | Level::Namespace => None,
        Level::Node => Some("k8s.node"),
        Level::Pod => Some("k8s.pod"),
        Level::PodContainer => Some("container"),
        Level::SysContainer => Some("k8s.node.system_container"),
    }
}

fn plain(metric: &str, level: Level) -> Option<(String, Known)> {
    use Instrument::{Counter, Gauge, UpDownCounter};
    let known = match metric {
        "cpu/usage" => ("cpu.time", "s", NANOSECONDS, Counter),
        "cpu/usage_rate" => ("cpu.usage", "{cpu}", CPU, Gauge),
        "memory/usage" => ("memory.usage", "By", 1.0, UpDownCounter),
        "memory/working_set" => ("memory.working_set", "By", 1.0, UpDownCounter),
        "memory/rss" if level != Level::SysContainer => ("memory.rss", "By", 1.0, UpDownCounter),
        "uptime" if level != Level::SysContainer => ("uptime", "s", 1e3, Gauge),
        _ => return of_kubernetes(metric, level),
    };
    Some((format!("{}.{}", prefix(level)?, known.0), known))
}

/// What Kubernetes itself says of a container or node, and is called otherwise than what is measured.
fn of_kubernetes(metric: &str, level: Level) -> Option<(String, Known)> {
    use Instrument::UpDownCounter;
    let known = match (metric, level) {
        ("cpu/request", Level::PodContainer) => {
            ("k8s.container.cpu.request", "{cpu}", CPU, UpDownCounter)
        }
        ("cpu/limit", Level::PodContainer) => {
            ("k8s.container.cpu.limit", "{cpu}", CPU, UpDownCounter)
        }
        ("memory/request", Level::PodContainer) => {
            ("k8s.container.memory.request", "By", 1.0, UpDownCounter)
        }
        ("memory/limit", Level::PodContainer) => {
            ("k8s.container.memory.limit", "By", 1.0, UpDownCounter)
        }
        ("restart_count", Level::PodContainer) => {
            ("k8s.container.restart.count", "{restart}", 1.0, UpDownCounter)
        }
        ("cpu/node_allocatable", Level::Node) => {
            ("k8s.node.cpu.allocatable", "{cpu}", CPU, UpDownCounter)
        }
        ("memory/node_allocatable", Level::Node) => {
            ("k8s.node.memory.allocatable", "By", 1.0, UpDownCounter)
        }
        _ => return None,
    };
    Some((known.0.to_owned(), known))
}

/// Filesystems by `resource_id`: the root's names have none, volumes of pods have names of their own.
fn on_filesystem(field: &Field, level: Level) -> Option<Name> {
    let Metric::Known(def) = &field.metric else { return None };
    let what = def.name.strip_prefix("filesystem/")?;
    let resource = field.labels.as_ref()?.get(tag::RESOURCE_ID)?;
    let up_down = |unit| ("", unit, 1.0, Instrument::UpDownCounter);
    let space = match what {
        "usage" => Some("usage"),
        "limit" => Some("capacity"),
        "available" => Some("available"),
        _ => None,
    };
    if let (Level::Pod, Some(volume)) = (level, resource.strip_prefix("Volume:")) {
        let attributes = vec![("k8s.volume.name", volume.to_owned())];
        let (what, unit) = match (space, what) {
            (Some(space), _) => (space, "By"),
            (None, "inodes") => ("inode.count", "{inode}"),
            (None, "inodes_free") => ("inode.free", "{inode}"),
            _ => return None,
        };
        return Some(named(format!("k8s.pod.volume.{what}"), up_down(unit), attributes, true));
    }
    let has_names = matches!(level, Level::Node | Level::Pod | Level::PodContainer);
    let space = space.filter(|_| has_names && resource == "/")?;
    let name = format!("{}.filesystem.{space}", prefix(level)?);
    Some(named(name, up_down("By"), Vec::new(), true))
}

/// What goes in two directions has one name for both.
fn with_direction(field: &Field, level: Level) -> Option<Name> {
    const NETWORK: &str = "network.io.direction";
    const DISK: &str = "disk.io.direction";
    let Metric::Known(def) = &field.metric else { return None };
    let (what, unit, key, direction) = match def.name {
        "network/rx" => ("network.io", "By", NETWORK, "receive"),
        "network/tx" => ("network.io", "By", NETWORK, "transmit"),
        "network/rx_errors" => ("network.errors", "{error}", NETWORK, "receive"),
        "network/tx_errors" => ("network.errors", "{error}", NETWORK, "transmit"),
        "disk/io_read_bytes" => ("disk.io", "By", DISK, "read"),
        "disk/io_write_bytes" => ("disk.io", "By", DISK, "write"),
        _ => return None,
    };
    let (is_disk, is_container) = (key == DISK, level == Level::PodContainer);
    if is_disk != is_container || !(is_disk || matches!(level, Level::Node | Level::Pod)) {
        return None;
    }
    let mut attributes = vec![(key, direction.to_owned())];
    let device = field.labels.as_ref().and_then(|labels| labels.get(tag::RESOURCE_ID));
    attributes.extend(device.map(|device| ("system.device", device.to_owned())));
    let known = ("", unit, 1.0, Instrument::Counter);
    Some(named(format!("{}.{what}", prefix(level)?), known, attributes, true))
}

/// A name of our own.
fn own(field: &Field, level: Level) -> Name {
    let (unit, divisor) = match &field.metric {
        Metric::Known(def) => match def.unit {
            Unit::Count | Unit::Ratio => ("1", 1.0),
            Unit::Bytes => ("By", 1.0),
            Unit::Milliseconds => ("s", 1e3),
            Unit::Nanoseconds => ("s", NANOSECONDS),
            Unit::Millicores => ("{cpu}", CPU),
            Unit::Percent => ("%", 1.0),
            Unit::PerSecond => ("1/s", 1.0),
        },
        // Its unit is in its buddy's own words.
        Metric::Custom(_) => ("", 1.0),
    };
    let level = match level {
        Level::Cluster => "cluster",
        Level::Namespace => "namespace",
        Level::Node => "node",
        Level::Pod => "pod",
        Level::PodContainer => "container",
        Level::SysContainer => "system_container",
    };
    let name = format!("heapster.{level}.{}", field.metric.name().replace('/', "."));
    let instrument = match field.metric.kind() {
        Kind::Cumulative => Instrument::Counter,
        Kind::Gauge => Instrument::Gauge,
    };
    Name { name, unit, divisor, instrument, attributes: Vec::new(), has_labels: false }
}

#[cfg(test)]
mod tests {
    use heapster_shared::schema::table;

    use super::*;

    fn of(metric: &str, resource: &str, level: Level) -> (String, &'static str, Vec<String>) {
        let def = table::by_name(metric).unwrap();
        let field = match resource {
            "" => Field::plain(def),
            resource => Field::resource(def, resource),
        };
        let Name { name, unit, attributes, .. } = name(&field, level);
        let attributes = attributes.iter().map(|(key, value)| format!("{key}={value}"));
        (name, unit, attributes.collect())
    }

    #[test]
    fn names_are_those_of_the_conventions() {
        use Level::{Namespace, Node, Pod, PodContainer, SysContainer};
        for (metric, resource, level, name, unit, attributes) in [
            ("cpu/usage", "", PodContainer, "container.cpu.time", "s", ""),
            ("cpu/usage_rate", "", Pod, "k8s.pod.cpu.usage", "{cpu}", ""),
            ("cpu/usage_rate", "", Namespace, "heapster.namespace.cpu.usage_rate", "{cpu}", ""),
            ("cpu/limit", "", PodContainer, "k8s.container.cpu.limit", "{cpu}", ""),
            ("memory/working_set", "", Node, "k8s.node.memory.working_set", "By", ""),
            ("memory/rss", "", SysContainer, "heapster.system_container.memory.rss", "By", ""),
            ("uptime", "", Pod, "k8s.pod.uptime", "s", ""),
            ("network/rx", "", Pod, "k8s.pod.network.io", "By", "network.io.direction=receive"),
            ("filesystem/limit", "/", Node, "k8s.node.filesystem.capacity", "By", ""),
            ("filesystem/usage", "logs", Pod, "heapster.pod.filesystem.usage", "By", ""),
            (
                "filesystem/inodes",
                "Volume:data",
                Pod,
                "k8s.pod.volume.inode.count",
                "{inode}",
                "k8s.volume.name=data",
            ),
            (
                "disk/io_write_bytes",
                "sda",
                PodContainer,
                "container.disk.io",
                "By",
                "disk.io.direction=write,system.device=sda",
            ),
            ("network/rx_rate", "", Node, "heapster.node.network.rx_rate", "1/s", ""),
        ] {
            let (found, found_unit, found_attributes) = of(metric, resource, level);
            assert_eq!((found.as_str(), found_unit), (name, unit), "{metric}");
            assert_eq!(found_attributes.join(","), attributes, "{metric}");
        }
    }
}
