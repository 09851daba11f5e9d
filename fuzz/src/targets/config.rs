//! What people write: the configuration file, specs, sizes and durations.

use std::{ffi::OsString, fs};

use clap::Parser;
use heapster_shared::{
    config,
    spec::Spec,
    units::{ByteSize, parse_duration},
};

use super::{Target, text};

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "config-file",
        run: file,
        recorded: &[
            "shared/testdata/config/all.good.toml",
            "shared/testdata/config/list.bad.toml",
            "shared/testdata/config/syntax.bad.toml",
            "shared/testdata/config/value.bad.toml",
        ],
        made: || {
            vec![b"[[sink]]\nkind = \"influxdb\"\nlocation = \"http://a\"\ndb = \"k8s\"\nx = [1, 2.5]\n".into()]
        },
    },
    Target {
        name: "spec",
        run: spec,
        recorded: &[],
        made: || {
            [
                "influxdb:http://user:secret-word@127.0.0.1:8086?db=k8s&pw=secret-word",
                "summary:https://10.0.0.7:10250?name=node-7&token_file=/etc/token&tls=skip",
                "static:?hosts=a=10.0.0.1:4194,b=10.0.0.2,[fd00::3]:8080",
                "consul:https://c1:8501,https://c2:8501?ca=/a%20b.pem&x=%ff+y",
                "log",
            ]
            .map(|spec| spec.as_bytes().to_vec())
            .into()
        },
    },
    Target {
        name: "units",
        run: units,
        recorded: &[],
        made: || {
            ["1GiB", "1.5 MB", "0", "1m30s", "2h", "500ms", "1e3KiB", "17179869184GiB", "P1DT2H"]
                .map(|unit| unit.as_bytes().to_vec())
                .into()
        },
    },
];

#[derive(Parser, Debug)]
#[command(name = "program")]
struct Options {
    /// Where samples go
    #[arg(long)]
    sink: Vec<Spec>,
    /// No TLS
    #[arg(long)]
    insecure: bool,
    /// Of a queue
    #[arg(long, default_value = "1MiB")]
    queue_bytes: ByteSize,
    #[command(flatten)]
    diagnostics: config::DiagnosticArgs,
}

/// A file is good, or an error says where it is not; never with what it says of passwords.
fn file(input: &[u8]) {
    let Ok(file) = tempfile::NamedTempFile::new() else { return };
    if fs::write(file.path(), input).is_err() {
        return;
    }
    let read =
        config::parse_with_file::<Options>(vec![OsString::from("program")], file.path().into());
    if let Err(error) = read {
        assert!(!error.to_string().trim().is_empty(), "an error that says nothing");
    }
}

/// What is read and written again reads the same; and the name of a spec, which is shown, has no
/// password.
fn spec(input: &[u8]) {
    let Ok(spec) = text(input).parse::<Spec>() else { return };
    let written = spec.to_string();
    let again: Result<Spec, _> = written.parse();
    assert!(again.as_ref() == Ok(&spec), "`{written}` reads otherwise: {again:?}");
    let shown = format!("{} {spec:?}", spec.name());
    let url = spec.location.starts_with("http://user:secret-word@");
    let elsewhere = spec.location.matches("secret-word").count() > usize::from(url)
        || spec.options.iter().any(|(name, _)| name.contains("secret-word"))
        || spec.kind.contains("secret-word");
    assert!(elsewhere || !shown.contains("secret-word"), "`{shown}` shows a password");
}

/// A size that is written and read again is the same.
fn units(input: &[u8]) {
    let text = text(input);
    if let Ok(size) = text.parse::<ByteSize>() {
        let written = size.to_string();
        let again = written.parse::<ByteSize>();
        // Sizes of more than 2^53 bytes are rounded, as doubles are.
        let near = |a: u64, b: u64| a.abs_diff(b) <= a >> 52;
        assert!(again.is_ok_and(|again| near(size.0, again.0)), "{written} reads otherwise");
    }
    let _ = parse_duration(&text);
}
