//! The options of sinks, sources and discoveries, read from the comments of the fields that take
//! them.

use std::{collections::BTreeSet, fmt::Write, fs, path::PathBuf};

/// An option as its field's comment has it.
#[derive(Clone)]
pub(crate) struct DocumentedOption {
    pub(crate) name: String,
    pub(crate) default: String,
    what: String,
}

/// The options of one kind.
pub(crate) fn of(flag: &str, kind: &str) -> Vec<DocumentedOption> {
    match (flag, kind) {
        ("sink", "gcm" | "stackdriver") => read("master/src/sinks/google/options.rs", "Options"),
        ("sink", "prometheus") => read(&sink_file("remote_write"), "Options"),
        ("sink", _) => read(&sink_file(kind), "Options"),
        ("source", "cadvisor") => {
            let mut options = read("buddy/src/source/cadvisor.rs", "Options");
            options.extend(read("buddy/src/source/fetch/options.rs", "TlsOptions"));
            options
        }
        ("source", "kubelet-cadvisor" | "resource" | "summary") => {
            read("buddy/src/source/kubelet/options.rs", "Options")
        }
        ("source", "cgroup") => read("buddy/src/source/cgroup.rs", "Config"),
        ("discovery", "etcd" | "dns") => read(&format!("buddy/src/discovery/{kind}.rs"), "Options"),
        ("discovery", "consul" | "docker" | "fleet" | "http_sd" | "nomad" | "swarm") => {
            let mut options = read(&format!("buddy/src/discovery/{kind}.rs"), "Options");
            options.extend(read("buddy/src/discovery/web/access.rs", "Options"));
            options
        }
        ("discovery", "kubernetes") => {
            let mut options = read("buddy/src/kubernetes/connect.rs", "Options");
            options.extend(read("buddy/src/discovery/kubernetes.rs", "Options"));
            options
        }
        ("events", "kubernetes") => {
            let mut options = read("buddy/src/kubernetes/connect.rs", "Options");
            options.extend(read("buddy/src/events.rs", "Options"));
            options
        }
        ("discovery", "static") => read("buddy/src/discovery/static_file.rs", "Options"),
        _ => panic!("say here where the options of the {flag} `{kind}` are"),
    }
}

/// Where the options of a sink are: in a file of their own, or in that of the sink.
fn sink_file(kind: &str) -> String {
    let module = kind.replace('-', "_");
    let own = format!("master/src/sinks/{module}/options.rs");
    if root().join(&own).is_file() { own } else { format!("master/src/sinks/{module}.rs") }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The sinks that have the options of a connection beside their own.
pub(crate) const CONNECT: [&str; 14] = [
    "elasticsearch",
    "gcm",
    "graphite",
    "honeycomb",
    "influxdb",
    "kafka",
    "nats",
    "opentsdb",
    "otlp",
    "prometheus",
    "riemann",
    "stackdriver",
    "wavefront",
    "webhook",
];

/// The options of a sink's connection.
pub(crate) fn connection() -> Vec<DocumentedOption> {
    read("master/src/sinks/peer/options.rs", "PeerOptions")
}

/// The options that every sink has.
pub(crate) fn common() -> Vec<DocumentedOption> {
    read("master/src/sinks/options.rs", "CommonOptions")
}

/// The options of every sink that say what it is given.
pub(crate) fn filters() -> Vec<DocumentedOption> {
    read("master/src/sinks/select/options.rs", "FilterOptions")
}

/// The options as a table.
pub(crate) fn table(options: &[DocumentedOption]) -> String {
    let mut text = String::from("| option | default | what |\n|---|---|---|\n");
    for DocumentedOption { name, default, what } in options {
        writeln!(text, "| `{name}` | {default} | {what} |").unwrap();
    }
    text
}

/// The error about an unknown option names exactly these.
pub(crate) fn assert_listed(error: &str, options: &[DocumentedOption]) {
    let quoted: BTreeSet<&str> =
        error.split('`').skip(1).step_by(2).filter(|name| *name != "nonsense").collect();
    let known: BTreeSet<&str> = options.iter().map(|option| option.name.as_str()).collect();
    assert_eq!(quoted, known, "{error}");
}

/// Reads the fields of a struct with their comments.
fn read(file: &str, name: &str) -> Vec<DocumentedOption> {
    let source = fs::read_to_string(root().join(file)).unwrap();
    let begin = format!("struct {name} {{\n");
    let (_, rest) = source.split_once(&begin).unwrap_or_else(|| panic!("no {name} in {file}"));
    let (body, _) = rest.split_once("\n}\n").unwrap();
    let (mut comment, mut options, mut skip) = (Vec::new(), Vec::new(), false);
    for line in body.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("///") {
            comment.push(words.trim());
        } else if line == "#[serde(skip)]" {
            skip = true;
        } else if std::mem::take(&mut skip) {
            comment.clear();
        } else if !line.is_empty() && !line.starts_with('#') {
            let line = line.strip_prefix("pub(in crate::discovery) ").unwrap_or(line);
            let line = line.strip_prefix("pub(in crate::sinks) ").unwrap_or(line);
            let field = line.split(':').next().unwrap().rsplit(' ').next().unwrap();
            options.push(split(field, &comment.join(" ")));
            comment.clear();
        }
    }
    assert!(!options.is_empty(), "{name} in {file} has no fields");
    options
}

/// Parts what an option is from its default.
fn split(name: &str, comment: &str) -> DocumentedOption {
    assert!(!comment.is_empty(), "the option `{name}` has no comment");
    let (what, default) = comment.split_once("Default").unwrap_or((comment, ""));
    let cell = |text: &str| text.trim().trim_end_matches('.').replace('|', "\\|");
    let default = default.trim_start_matches(':');
    DocumentedOption { name: name.to_owned(), default: cell(default), what: cell(what) }
}
