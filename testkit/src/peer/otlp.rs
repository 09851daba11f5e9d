//! A receiver of OTLP, written in Python for the message definitions that OpenTelemetry publishes
//! there: see `testkit/python/otlp.py`.

use serde_json::Value;

use super::{
    process::{PeerError, Process, Program, http_client},
    pypi,
};

/// A running receiver.
#[derive(Debug)]
pub struct OtlpReceiver {
    _process: Process,
    http_port: u16,
    grpc_port: u16,
}

impl OtlpReceiver {
    /// Starts one that takes everything.
    ///
    /// # Errors
    /// When Python or its packages are missing, or it is not ready in time.
    pub async fn start() -> Result<Self, PeerError> {
        let python = pypi::interpreter("otlp")?;
        let script = pypi::folder().join("otlp.py");
        let grpc = std::sync::atomic::AtomicU16::new(0);
        let (process, http_port) = Process::launch(|_, [port, grpc_port]| {
            grpc.store(grpc_port, std::sync::atomic::Ordering::Relaxed);
            Ok(Program {
                name: "env",
                package: "coreutils",
                arguments: vec![
                    python.display().to_string(),
                    script.display().to_string(),
                    port.to_string(),
                    grpc_port.to_string(),
                ],
                ready_url: format!("http://127.0.0.1:{port}/__state"),
            })
        })
        .await?;
        Ok(Self { _process: process, http_port, grpc_port: grpc.into_inner() })
    }

    /// Where it takes requests over HTTP.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// Where it takes requests over gRPC.
    #[must_use]
    pub fn grpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc_port)
    }

    /// What it has: `points`, the `requests` that came, and `complaints` about what is not as it
    /// should be.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn state(&self) -> Result<Value, PeerError> {
        let request = http_client()?.get(format!("{}/__state", self.http_url()));
        let answer = request.send().await.map_err(failed)?;
        answer.json().await.map_err(failed)
    }

    /// Says what becomes of the next request: `{"code": N, "wait": SECONDS}` of HTTP or gRPC, or
    /// `{"rejected": N}` of its points.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn answer_next(&self, how: &Value) -> Result<(), PeerError> {
        let request = http_client()?.post(format!("{}/__next", self.http_url())).json(how);
        request.send().await.map(drop).map_err(failed)
    }
}

fn failed(error: reqwest::Error) -> PeerError {
    PeerError::Failed(format!("the receiver of OTLP does not answer: {error}"))
}
