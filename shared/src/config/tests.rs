//! Precedence, places in error messages, and the files in `testdata/config`.

use std::{fs, path::Path};

use clap::{Args, Subcommand};

use super::*;
use crate::{spec::Spec, units::ByteSize};

#[derive(Parser, Debug)]
#[command(name = "program", version)]
struct Cli {
    #[command(subcommand)]
    command: Run,
}

#[derive(Subcommand, Debug)]
enum Run {
    Serve(Serve),
}

#[derive(Args, Debug)]
struct Serve {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:1")]
    grpc_listen: std::net::SocketAddr,
    /// Where samples go
    #[arg(long)]
    sink: Vec<Spec>,
    /// No TLS
    #[arg(long)]
    insecure: bool,
    #[arg(long, default_value = "1MiB")]
    queue_bytes: ByteSize,
    #[command(flatten)]
    diagnostics: DiagnosticArgs,
}

fn run(argv: &[&str], env: &[(&str, &str)]) -> Result<Serve, String> {
    let argv = ["program", "serve"].iter().chain(argv).map(OsString::from).collect();
    let env =
        |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let Run::Serve(serve) = parse::<Cli>(argv, env).map_err(|error| error.to_string())?.command;
    Ok(serve)
}

fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heapster.toml");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

/// Flags go before the environment, that before the file, that before the defaults; lists are
/// replaced, never joined.
#[test]
fn precedence() {
    let (_folder, path) = file("grpc_listen = '127.0.0.1:2'\nsink = ['log', 'log:a']\n");
    let config = ["--config", &path];
    assert_eq!(run(&[], &[]).unwrap().grpc_listen.port(), 1);
    let from_file = run(&config, &[]).unwrap();
    assert_eq!(from_file.grpc_listen.port(), 2);
    assert_eq!(from_file.sink.len(), 2);

    let env = [("HEAPSTER_GRPC_LISTEN", "127.0.0.1:3"), ("HEAPSTER_SINK", "x y\nz")];
    let from_env = run(&config, &env).unwrap();
    assert_eq!(from_env.grpc_listen.port(), 3);
    assert_eq!(from_env.sink.len(), 3);

    let flags = [&config[..], &["--grpc-listen", "127.0.0.1:4", "--sink", "only"]].concat();
    let from_flags = run(&flags, &env).unwrap();
    assert_eq!(from_flags.grpc_listen.port(), 4);
    assert_eq!(from_flags.sink.len(), 1);

    let by_variable = run(&[], &[("HEAPSTER_CONFIG", &path)]).unwrap();
    assert_eq!(by_variable.grpc_listen.port(), 2);
}

#[test]
fn tables_are_specs_and_flags_are_booleans() {
    let (_folder, path) = file(
        "insecure = true\nqueue_bytes = '2MiB'\n[[sink]]\nkind = 'influxdb'\n\
         location = 'http://h:1'\ndb = 'a b'\nconcurrency = 2\n",
    );
    let serve = run(&["--config", &path], &[]).unwrap();
    assert!(serve.insecure);
    assert_eq!(serve.queue_bytes, ByteSize::mib(2));
    let written: Spec = "influxdb:http://h:1?db=a+b&concurrency=2".parse().unwrap();
    let mut read = serve.sink[0].clone();
    read.options.sort_by(|a, b| b.cmp(a));
    assert_eq!(read, written);
    assert!(!run(&["--config", &path], &[("HEAPSTER_INSECURE", "no")]).unwrap().insecure);
}

#[test]
fn wrong_values_name_their_place() {
    let error = run(&[], &[("HEAPSTER_GRPC_LISTEN", "here")]).unwrap_err();
    assert!(error.contains("HEAPSTER_GRPC_LISTEN: invalid value 'here'"), "{error}");
    let error = run(&["--grpc-listen", "there"], &[]).unwrap_err();
    assert!(error.contains("invalid value 'there' for '--grpc-listen"), "{error}");
    let error = run(&["--config", "/nowhere.toml"], &[]).unwrap_err();
    assert!(error.contains("cannot read /nowhere.toml"), "{error}");
}

/// Values may be secrets, so the help names variables only.
#[test]
fn help_names_variables() {
    let help = run(&["--help"], &[("HEAPSTER_SINK", "log:secret")]).unwrap_err();
    assert!(help.contains("[env: HEAPSTER_GRPC_LISTEN]"), "{help}");
    assert!(!help.contains("secret"), "{help}");
}

/// Each `NAME.bad.toml` begins with a comment that holds a part of the expected message; each
/// `NAME.good.toml` is accepted.
#[test]
fn sample_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/config");
    let mut counts = [0, 0];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let result = run(&["--config", path.to_str().unwrap()], &[]);
        if path.to_str().unwrap().ends_with(".good.toml") {
            counts[0] += 1;
            assert!(result.is_ok(), "{}: {result:?}", path.display());
        } else {
            counts[1] += 1;
            let text = fs::read_to_string(&path).unwrap();
            let expected = text.lines().next().unwrap().trim_start_matches("# ");
            let error = result.unwrap_err();
            assert!(error.contains(expected), "{}: {error}", path.display());
        }
    }
    assert!(counts[0] >= 1 && counts[1] >= 5, "{counts:?}");
}
