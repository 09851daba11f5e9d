//! A folder of certificates and tokens, and programs that use them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use heapster_testkit::{
    http::{Answer, Request},
    peer::free_ports,
    process::Process,
};

pub(crate) const HEAPSTER: &str = env!("CARGO_BIN_EXE_heapster");
pub(crate) use heapster_testkit::process::{SOON, eventually};

/// Starts `heapster` with these arguments.
pub(crate) fn heapster(arguments: &[&str]) -> Process {
    Process::start(Path::new(HEAPSTER), arguments).unwrap()
}

/// What a command that ends has printed to standard output.
pub(crate) fn printed(arguments: &[&str]) -> String {
    let output = Command::new(HEAPSTER).args(arguments).env_clear().output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with what `heapster cert new` makes for `localhost`, and a file of credentials.
pub(crate) struct Keys(pub(crate) tempfile::TempDir);

impl Keys {
    pub(crate) fn new() -> Self {
        let keys = Self(tempfile::tempdir().unwrap());
        printed(&["cert", "new", keys.0.path().to_str().unwrap(), "--host", "localhost"]);
        keys
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Adds a token, which is also in `NAME.token`.
    pub(crate) fn token(&self, name: &str, for_what: &[&str]) -> String {
        let (file, token_file) =
            (self.text("credentials.toml"), self.text(&format!("{name}.token")));
        let fixed = ["token", "new", name, "--file", &file];
        let token = printed(&[&fixed, for_what].concat()).trim().to_owned();
        fs::write(token_file, &token).unwrap();
        token
    }

    /// Deletes an entry, as with an editor.
    pub(crate) fn revoke(&self, name: &str) {
        let text = self.read("credentials.toml");
        let kept = text.split("\n[[credential]]").filter(|entry| {
            !entry.contains(&format!("name = \"{name}\"")) && !entry.starts_with('#')
        });
        let kept: String = kept.map(|entry| format!("\n[[credential]]{entry}")).collect();
        fs::write(self.path("new"), kept).unwrap();
        fs::rename(self.path("new"), self.path("credentials.toml")).unwrap();
    }

    /// The options of a master by TLS that knows the tokens.
    pub(crate) fn master_options(&self) -> Vec<String> {
        let (certificate, key) = (self.text("master.crt"), self.text("master.key"));
        let credentials = self.text("credentials.toml");
        let options =
            ["--tls-cert", &certificate, "--tls-key", &key, "--credentials", &credentials];
        options.map(str::to_owned).to_vec()
    }
}

/// A master, and where it is.
pub(crate) struct Master {
    pub(crate) process: Process,
    pub(crate) http: u16,
    pub(crate) grpc: u16,
}

impl Master {
    /// Starts one at one tick a second, and waits until it serves.
    pub(crate) fn start(options: &[String]) -> Self {
        Self::start_logging("heapster=debug,info", options)
    }

    /// The same with a filter for its log.
    pub(crate) fn start_logging(log: &str, options: &[String]) -> Self {
        let [http, grpc] = free_ports().unwrap();
        let (listen, grpc_listen) = (format!("127.0.0.1:{http}"), format!("127.0.0.1:{grpc}"));
        let fixed = ["master", "--resolution", "1s", "--log", log];
        let addresses = ["--listen", &listen, "--grpc-listen", &grpc_listen];
        let arguments = fixed.iter().chain(&addresses).map(|argument| (*argument).to_owned());
        let arguments: Vec<String> = arguments.chain(options.iter().cloned()).collect();
        let mut process = Process::start(Path::new(HEAPSTER), &arguments).unwrap();
        process.line("waiting for buddies", SOON).unwrap();
        Self { process, http, grpc }
    }

    /// Asks it over TLS, believing the authority in the folder.
    pub(crate) fn ask(&self, keys: &Keys, token: &str, path: &str) -> Answer {
        let mut request = Request { authorities: keys.read("ca.crt"), ..Request::default() };
        if !token.is_empty() {
            request.headers.push(format!("authorization: Bearer {token}"));
        }
        request.send(&format!("https://localhost:{}{path}", self.http)).unwrap()
    }

    /// The URL for buddies.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.grpc)
    }

    /// Starts a buddy of this machine, for the cluster `lab`, with these options more.
    pub(crate) fn buddy(&self, options: &[&str]) -> Process {
        let fixed = ["buddy", "--cluster", "lab", "--source", "cgroup", "--log", "heapster=debug"];
        heapster(&[&fixed, options].concat())
    }
}
