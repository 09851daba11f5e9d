//! What the containers are started with is what the programs take.

use std::{collections::BTreeMap, ffi::OsString, net::SocketAddr};

use clap::{CommandFactory, Parser};
use heapster_buddy::args::{PollingArgs, UplinkArgs};
use heapster_master::args::MasterArgs;
use heapster_shared::config::{self, DiagnosticArgs};

use super::{
    keys::Keys,
    placed::Placed,
    render,
    workload::{Container, containers},
};

/// `heapster-buddy`.
#[derive(Parser)]
struct Buddy {
    #[command(flatten)]
    uplink: UplinkArgs,
    #[command(flatten)]
    polling: PollingArgs,
    #[command(flatten)]
    _diagnostics: DiagnosticArgs,
}

/// `heapster-master`.
#[derive(Parser)]
struct Master {
    #[command(flatten)]
    master: MasterArgs,
    #[command(flatten)]
    _diagnostics: DiagnosticArgs,
}

/// `heapster standalone`.
#[derive(Parser)]
struct Standalone {
    #[command(flatten)]
    master: MasterArgs,
    #[command(flatten)]
    polling: PollingArgs,
    #[command(flatten)]
    _diagnostics: DiagnosticArgs,
}

/// Reads a command line and the environment as the program would.
fn parse<P: Parser>(container: &Container<'_>, placed: &Placed, words: &[String]) -> P {
    let environment = &placed.environment;
    let argv: Vec<OsString> = words.iter().map(OsString::from).collect();
    assert_known::<P>(container, environment);
    config::parse(argv, |name| environment.get(name).cloned())
        .unwrap_or_else(|error| panic!("{}: {error}", container.title))
}

/// A variable that no option has would be ignored without a word.
fn assert_known<P: CommandFactory>(
    container: &Container<'_>,
    environment: &BTreeMap<String, String>,
) {
    let command = P::command();
    let longs = command.get_arguments().filter_map(clap::Arg::get_long);
    let known: Vec<String> = longs
        .map(|long| format!("HEAPSTER_{}", long.replace('-', "_").to_ascii_uppercase()))
        .collect();
    for name in environment.keys().filter(|name| name.starts_with("HEAPSTER_")) {
        assert!(known.contains(name), "{}: {name} is no option", container.title);
    }
}

fn check_master(container: &Container<'_>, master: &MasterArgs) {
    for sink in &master.sinks {
        if let Err(error) = heapster_master::sinks::configure(sink.clone()) {
            panic!("{}: {error}", container.title);
        }
    }
    // What is on loopback is for forwarded ports, and what others reach asks who they are.
    let listens = (!master.listen.ip().is_loopback()).then(|| u64::from(master.listen.port()));
    assert_eq!(container.port("http"), listens, "{}", container.title);
    assert!(listens.is_none() || master.access.credentials.is_some(), "{}", container.title);
}

fn check_polling(container: &Container<'_>, placed: &Placed, polling: &PollingArgs) {
    for spec in &polling.discovery {
        let built = heapster_buddy::discovery::build(spec.clone());
        assert!(built.is_ok(), "{}: {:?}", container.title, built.err());
    }
    for spec in &polling.source {
        let built = heapster_buddy::source::build(spec.clone());
        assert!(built.is_ok(), "{}: {:?}", container.title, built.err());
    }
    let spool = polling.spool.directory.as_ref().unwrap();
    assert!(spool.starts_with(placed.folder.path()), "{}: no volume", container.title);
    assert!(polling.buddy_id.is_some(), "{}: a pod's name changes", container.title);
}

/// Flags, variables, sinks, sources and discoveries are those that the programs know; certificates and
/// tokens are such, and go together; and what listens does so on the ports that the pod names.
#[test]
fn the_programs_take_their_options() {
    let Some(keys) = Keys::of_the_guide() else { return };
    let mut checked = 0;
    for (base, documents) in render::all() {
        for container in containers(base, &documents).iter().filter(|one| one.is_own()) {
            let placed = Placed::new(container, &keys);
            let words = &placed.words;
            match (words[0].as_str(), words.get(1).map(String::as_str)) {
                ("heapster-buddy", _) => {
                    let buddy: Buddy = parse(container, &placed, words);
                    check_polling(container, &placed, &buddy.polling);
                    let config = buddy.uplink.config();
                    assert!(config.is_ok(), "{}: {:?}", container.title, config.err());
                }
                ("heapster-master", _) => {
                    let Master { master, .. } = parse(container, &placed, words);
                    assert_eq!(master.check(), Ok(()), "{}", container.title);
                    check_master(container, &master);
                    let door = heapster_master::access::Door::open(&master);
                    assert!(door.is_ok(), "{}: {:?}", container.title, door.err());
                    let grpc = u64::from(master.grpc_address().port());
                    assert_eq!(container.port("grpc"), Some(grpc));
                }
                ("heapster", Some("standalone")) => {
                    let standalone: Standalone = parse(container, &placed, &words[1..]);
                    check_master(container, &standalone.master);
                    check_polling(container, &placed, &standalone.polling);
                }
                _ => panic!("{}: {words:?} is no program of ours", container.title),
            }
            if let Some(address) = container.argument("metrics-listen") {
                let address: SocketAddr = address.parse().unwrap();
                assert_eq!(container.port("metrics-api"), Some(u64::from(address.port())));
            }
            checked += 1;
        }
        assert!(documents.is_empty() || checked > 0, "{base} starts nothing");
    }
}

/// The ports are those of the defaults, which are written in many a guide.
#[test]
fn ports_are_the_defaults() {
    let Master { master, .. } = Master::parse_from(["heapster-master"]);
    let documents = render::render("master");
    for container in containers("master", &documents) {
        assert_eq!(container.port("http"), Some(u64::from(master.listen.port())));
        assert_eq!(container.port("grpc"), Some(u64::from(master.grpc_address().port())));
    }
    for service in render::of_kind(&documents, "Service") {
        for port in service["spec"]["ports"].as_array().unwrap() {
            let container = &containers("master", &documents)[0];
            assert_eq!(port["port"].as_u64(), container.port(port["name"].as_str().unwrap()));
        }
    }
}

/// A buddy finds the master that is applied beside it.
#[test]
fn buddies_find_the_master() {
    let master = render::render("master");
    for base in ["buddy", "daemonset"] {
        let documents = render::render(base);
        for container in containers(base, &documents) {
            let url = container.environment()["HEAPSTER_MASTER"].clone();
            let service = render::of_kind(&master, "Service").next().unwrap();
            let (name, namespace) =
                (&service["metadata"]["name"], &service["metadata"]["namespace"]);
            let (name, namespace) = (name.as_str().unwrap(), namespace.as_str().unwrap());
            assert_eq!(url, format!("https://{name}.{namespace}.svc:8085"));
        }
    }
}
