//! The generated parts of the docs are what the code says. `make docs` writes them anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "docs/options.rs"]
mod options;

use std::{fmt::Write, fs, path::PathBuf};

use heapster_shared::{
    entity::Level,
    schema::{Kind, ValueType, table},
};

/// Holds the text between `<!-- generated: NAME -->` and `<!-- end -->` in a file against `text`.
fn check(file: &str, name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
    let page = fs::read_to_string(&path).unwrap();
    let begin = format!("<!-- generated: {name} -->\n");
    let start =
        page.find(&begin).unwrap_or_else(|| panic!("{file} has no part {name}")) + begin.len();
    let end = start + page[start..].find("<!-- end -->").expect("an end of the part");
    let wanted = format!("\n{}\n\n", text.trim());
    if page[start..end] == wanted {
        return;
    }
    assert!(
        std::env::var_os("HEAPSTER_UPDATE_DOCS").is_some(),
        "docs/{file}: the part `{name}` is not what the code says; run `make docs`"
    );
    fs::write(&path, format!("{}{wanted}{}", &page[..start], &page[end..])).unwrap();
}

fn levels(levels: &[Level]) -> String {
    let short = |level: &Level| match level {
        Level::Cluster => "CL",
        Level::Namespace => "NS",
        Level::Node => "N",
        Level::Pod => "P",
        Level::PodContainer => "PC",
        Level::SysContainer => "SC",
    };
    let mut sorted = levels.to_vec();
    sorted.sort_by_key(|level| match level {
        Level::Node => 0,
        Level::Pod => 1,
        Level::PodContainer => 2,
        Level::SysContainer => 3,
        Level::Namespace => 4,
        Level::Cluster => 5,
    });
    sorted.iter().map(short).collect::<Vec<_>>().join(" ")
}

#[test]
fn storage_schema_lists_the_metrics() {
    let mut text = String::from(
        "| id | metric | type | unit | levels | labels | what |\n|---|---|---|---|---|---|---|\n",
    );
    for def in table::METRICS {
        let kind = match def.kind {
            Kind::Cumulative => "counter",
            Kind::Gauge => "gauge",
        };
        let values = match def.value_type {
            ValueType::Int64 => "int",
            ValueType::Double => "float",
        };
        let (id, name, unit) = (def.id.0, def.name, def.unit.name());
        let (levels, labels) = (levels(def.levels), def.labels.names().join(", "));
        writeln!(
            text,
            "| {id} | `{name}` | {kind}, {values} | {unit} | {levels} | {labels} | {} |",
            def.description
        )
        .unwrap();
    }
    check("storage-schema.md", "metrics", &text);
}

/// What there is to say of each kind: its summary, the specs that a test builds, its options.
fn kinds<'a>(kinds: impl Iterator<Item = (&'a str, &'a str, &'a [&'a str])>, flag: &str) -> String {
    let mut text = String::new();
    for (name, summary, samples) in kinds {
        writeln!(text, "### `{name}`\n\n{summary}\n\n```sh").unwrap();
        for sample in samples {
            writeln!(text, "--{flag} '{sample}'").unwrap();
        }
        text.push_str("```\n\n");
        match (flag, name) {
            ("sink", "gcm" | "stackdriver") => {
                text.push_str("Its options are in [gcm.md](gcm.md#options).\n\n");
            }
            ("sink", "influxdb") => {
                text.push_str("Its options are in [influxdb.md](influxdb.md#options).\n\n");
            }
            ("source", "kubelet-cadvisor" | "resource") => {
                text.push_str("Its options are those of [`summary`](#summary).\n\n");
            }
            _ => writeln!(text, "{}", options::table(&options::of(flag, name))).unwrap(),
        }
    }
    text
}

const CONNECTION: &str = "It also has [the options of a connection](#options-of-a-connection).\n\n";

#[test]
fn sinks_lists_the_sinks() {
    let table = heapster_master::sinks::KINDS.iter();
    let sections = table.map(|kind| {
        let common = kinds(std::iter::once((kind.name, kind.summary, kind.samples)), "sink");
        let connects = options::CONNECT.contains(&kind.name);
        let connection = if connects { CONNECTION } else { "" };
        format!(
            "{common}{connection}- Names and labels: {}\n- Delivery: {}\n- Tested against {}\n\n",
            kind.mapping, kind.delivery, kind.tested
        )
    });
    let text: String = sections.collect();
    check("sinks.md", "sinks", &text);
    check("sinks.md", "connection options", &options::table(&options::connection()));
    check("sinks.md", "common options", &options::table(&options::common()));
    check("sinks.md", "filter options", &options::table(&options::filters()));
    check("gcm.md", "gcm options", &options::table(&options::of("sink", "gcm")));
    check("influxdb.md", "influxdb options", &options::table(&options::of("sink", "influxdb")));
}

#[test]
fn sources_lists_sources_and_discoveries() {
    let table = heapster_buddy::source::KINDS.iter();
    let text = kinds(table.map(|kind| (kind.name, kind.summary, kind.samples)), "source");
    check("sources.md", "sources", &text);
    let table = heapster_buddy::discovery::KINDS.iter();
    let text = kinds(table.map(|kind| (kind.name, kind.summary, kind.samples)), "discovery");
    check("sources.md", "discoveries", &text);
}

#[test]
fn kubernetes_lists_the_options_of_events() {
    let mut text = String::from("```sh\n");
    for sample in heapster_buddy::events::SAMPLES {
        writeln!(text, "--events '{sample}'").unwrap();
    }
    write!(text, "```\n\n{}", options::table(&options::of("events", "kubernetes"))).unwrap();
    check("kubernetes.md", "events", &text);
}

/// What is written about the options of every sink is what they are when nobody sets them.
#[test]
fn common_defaults_are_as_written() {
    let mut spec = String::from("log?");
    for option in options::common().into_iter().chain(options::filters()) {
        let named = |value: &&str| !["none", "all"].contains(value);
        let value = Some(option.default.trim_matches('`')).filter(named);
        let value = value.unwrap_or_default();
        write!(spec, "{}={value}&", option.name).unwrap();
    }
    let configured = heapster_master::sinks::configure(spec.parse().unwrap()).ok().unwrap();
    assert_eq!(configured.options, Default::default(), "{spec}");
}

/// The tables have each option that is taken, and no other.
#[test]
fn no_option_is_left_out() {
    let mut common = options::common();
    common.extend(options::filters());
    for kind in heapster_master::sinks::KINDS {
        let spec = format!("{}?nonsense=1", kind.name).parse().unwrap();
        let error = heapster_master::sinks::configure(spec).err().unwrap().to_string();
        let mut known = options::of("sink", kind.name);
        known.extend(common.iter().cloned());
        if options::CONNECT.contains(&kind.name) {
            known.extend(options::connection());
        }
        options::assert_listed(&error, &known);
    }
    for kind in heapster_buddy::source::KINDS {
        let spec = format!("{}?nonsense=1", kind.name).parse().unwrap();
        let error = heapster_buddy::source::build(spec).err().unwrap().to_string();
        options::assert_listed(&error, &options::of("source", kind.name));
    }
    for kind in heapster_buddy::discovery::KINDS {
        let spec = format!("{}?nonsense=1", kind.name).parse().unwrap();
        let error = heapster_buddy::discovery::build(spec).err().unwrap().to_string();
        options::assert_listed(&error, &options::of("discovery", kind.name));
    }
    let spec = "kubernetes:?nonsense=1".parse().unwrap();
    let error = heapster_buddy::events::Observer::build(spec).err().unwrap().to_string();
    options::assert_listed(&error, &options::of("events", "kubernetes"));
}

/// A sample in the docs that does not work is worse than none.
#[test]
fn samples_build() {
    for kind in heapster_master::sinks::KINDS {
        assert!(!kind.samples.is_empty(), "{} has no sample", kind.name);
        for sample in kind.samples {
            heapster_master::sinks::configure(sample.parse().unwrap())
                .map(drop)
                .unwrap_or_else(|error| panic!("{sample}: {error}"));
        }
    }
    for kind in heapster_buddy::source::KINDS {
        assert!(!kind.samples.is_empty(), "{} has no sample", kind.name);
        for sample in kind.samples {
            heapster_buddy::source::build(sample.parse().unwrap())
                .map(drop)
                .unwrap_or_else(|error| panic!("{sample}: {error}"));
        }
    }
    for kind in heapster_buddy::discovery::KINDS {
        assert!(!kind.samples.is_empty(), "{} has no sample", kind.name);
        for sample in kind.samples {
            heapster_buddy::discovery::build(sample.parse().unwrap())
                .map(drop)
                .unwrap_or_else(|error| panic!("{sample}: {error}"));
        }
    }
}
