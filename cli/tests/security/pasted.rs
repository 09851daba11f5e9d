//! What the commands print is fit to be pasted.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use heapster_testkit::{peer::free_ports, process::Process};

use crate::support::{HEAPSTER, Keys, SOON, printed};

/// The commands in a text, each as a line of its own.
fn commands(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
    lines.filter(|line| line.starts_with("heapster ")).map(str::to_owned).collect()
}

/// Gives a line to a shell, at ports that are free.
fn paste(line: &str, [http, grpc]: [u16; 2]) -> Process {
    let line = line.replace("0.0.0.0:8085", &format!("127.0.0.1:{grpc}"));
    let line = line.replace(":8085", &format!(":{grpc}")).replace("//HOST", "//localhost");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("exec {line}")]).env_clear();
    shell.env("PATH", Path::new(HEAPSTER).parent().unwrap());
    if line.starts_with("heapster master") {
        shell.env("HEAPSTER_LISTEN", format!("127.0.0.1:{http}"));
    }
    Process::start_with(&mut shell).unwrap()
}

/// Pastes what starts a master and a buddy, and waits until they have met.
fn meet(lines: &[String]) {
    let ports = free_ports().unwrap();
    let (mut master, mut buddy) = (None, None);
    for line in lines {
        let mut process = paste(line, ports);
        if line.starts_with("heapster master") {
            process.line("waiting for buddies", SOON).unwrap();
            master = Some(process);
        } else if line.starts_with("heapster buddy") {
            process.line("connected to the master", SOON).unwrap();
            buddy = Some(process);
        } else {
            let status = process.wait(SOON).unwrap();
            assert!(status.success(), "{line}: {}", process.output());
        }
    }
    assert!(master.is_some() && buddy.is_some(), "{lines:?}");
}

/// A directory whose name a shell would part.
fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my keys").to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn what_cert_new_prints_works_when_it_is_pasted() {
    let (_folder, path) = folder();
    let told = printed(&["cert", "new", &path, "--host", "localhost"]);
    assert_eq!(commands(&told).len(), 3, "{told}");
    meet(&commands(&told));
    for (name, mode) in [
        ("ca.key", 0o600),
        ("master.key", 0o600),
        ("lab.token", 0o600),
        ("credentials.toml", 0o600),
        ("ca.crt", 0o644),
    ] {
        let metadata = fs::metadata(Path::new(&path).join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }
}

#[test]
fn what_cert_buddy_prints_works_when_it_is_pasted() {
    let (_folder, path) = folder();
    printed(&["cert", "new", &path, "--host", "localhost"]);
    let told = printed(&["cert", "buddy", &path, "--name", "lab", "--cluster", "lab"]);
    assert_eq!(commands(&told).len(), 2, "{told}");
    meet(&commands(&told));
    // The entry, too, is what a master reads.
    let entry = told.split_once("for no other cluster:\n").unwrap().1;
    let credentials = Path::new(&path).join("credentials.toml");
    fs::write(&credentials, entry).unwrap();
    let with_file = commands(&told).into_iter().map(|line| {
        let option = format!(" --credentials '{}'", credentials.display());
        if line.starts_with("heapster master") { line + &option } else { line }
    });
    meet(&with_file.collect::<Vec<_>>());
}

/// The token alone is on standard output, and only its hash in the file.
#[test]
fn a_token_is_printed_once_and_not_kept() {
    let keys = Keys::new();
    let token = keys.token("lab", &["--cluster", "lab", "--role", "polls"]);
    assert_eq!(token.lines().count(), 1);
    assert!(token.starts_with("heapster_") && token.len() == 73, "{token}");
    let file = keys.read("credentials.toml");
    assert!(file.contains("name = \"lab\"") && !file.contains(&token), "{file}");
    let other = keys.token("other", &["--access", "read"]);
    assert_ne!(token, other);
    assert!(keys.read("credentials.toml").starts_with(&file), "what was there stays");
}

#[test]
fn nothing_is_made_by_a_mistake() {
    let keys = Keys::new();
    keys.token("lab", &["--cluster", "lab"]);
    let (folder, file) = (keys.text(""), keys.text("credentials.toml"));
    let before = (keys.read("credentials.toml"), keys.read("master.crt"), keys.read("ca.crt"));
    let cases: [(&[&str], &str); 8] = [
        (
            &["token", "new", "lab", "--cluster", "x", "--file", &file],
            "another entry has this name",
        ),
        (&["token", "new", "x", "--file", &file], "say what it is for, with --cluster"),
        (&["token", "new", "x", "--cluster", "a b", "--file", &file], "names no cluster"),
        (
            &["token", "new", "x", "--cluster", "a", "--file", "/no/such/x"],
            "cannot use the directory",
        ),
        (&["cert", "new", &folder, "--host", "localhost"], "give --force to renew it"),
        (&["cert", "new", &folder, "--host", "a:1", "--force"], "without a port"),
        (&["cert", "buddy", &folder, "--name", "master"], "choose another name"),
        (&["cert", "buddy", "/no/such", "--name", "a"], "heapster cert new /no/such --host NAME"),
    ];
    for (arguments, expected) in cases {
        let output = Command::new(HEAPSTER).args(arguments).env_clear().output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains(expected), "{arguments:?}: {told}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    assert_eq!(
        before,
        (keys.read("credentials.toml"), keys.read("master.crt"), keys.read("ca.crt"))
    );
    // Renewing is by the authority of before.
    printed(&["cert", "new", &folder, "--host", "localhost", "--force"]);
    assert_ne!(before.1, keys.read("master.crt"));
    assert_eq!(before.2, keys.read("ca.crt"));
}
