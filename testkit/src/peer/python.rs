//! Python with gRPC, from Debian's packages: runs buddies that are written in it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::process::PeerError;

/// What an interpreter has to be able to import.
const NEEDED: &str = "import grpc, google.protobuf";

/// An interpreter that knows the protocol's generated code.
#[derive(Debug)]
pub struct Python {
    interpreter: PathBuf,
    stubs: TempDir,
}

impl Python {
    /// Finds an interpreter with gRPC, and makes the stubs with the script that the examples have
    /// for it.
    ///
    /// # Errors
    /// When a package is missing, or the script fails.
    pub async fn with_stubs(generate: &Path) -> Result<Self, PeerError> {
        // Another Python may come first on the PATH; the packages are for Debian's.
        let candidates = ["python3", "/usr/bin/python3"].map(PathBuf::from);
        let Some(interpreter) = candidates.into_iter().find(|one| has_grpc(one)) else {
            return Err(PeerError::Missing {
                program: "python3 with the module grpc",
                package: "python3-grpcio",
            });
        };
        let stubs = tempfile::tempdir()?;
        let mut script = Command::new(generate);
        let output = script.arg(stubs.path()).env("PYTHON", &interpreter).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("no compiler for the .proto") {
            return Err(PeerError::Missing {
                program: "protoc, grpc_python_plugin",
                package: "protobuf-compiler protobuf-compiler-grpc",
            });
        }
        if !output.status.success() {
            let script = generate.display();
            return Err(PeerError::Failed(format!("{script}: {}: {said}", output.status)));
        }
        Ok(Self { interpreter, stubs })
    }

    /// A command that runs this interpreter, with nothing of the environment but `PATH` and `HOME`.
    /// It leaves no bytecode beside the sources.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.interpreter);
        let kept = ["PATH", "HOME"].into_iter();
        let kept = kept.filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.env_clear().envs(kept);
        command.env("PYTHONPATH", self.stubs.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

fn has_grpc(interpreter: &Path) -> bool {
    let mut command = Command::new(interpreter);
    command.args(["-c", NEEDED]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
