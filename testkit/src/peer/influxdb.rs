//! InfluxDB 1.6, from Debian's package `influxdb`.

use std::ops::{Deref, DerefMut};

use super::process::{PeerError, Process, Program, http_client};

/// A running InfluxDB.
#[derive(Debug)]
pub struct Influxdb {
    process: Process,
    port: u16,
    /// Name and password of the administrator, where accounts are asked for.
    account: Option<(String, String)>,
}

/// How it is set up.
#[derive(Clone, Debug, Default)]
pub struct InfluxdbOptions {
    /// Name and password of an administrator: then every request needs an account.
    pub account: Option<(String, String)>,
}

impl Influxdb {
    /// Starts one that asks for no account.
    ///
    /// # Errors
    /// When its program is missing, or it is not ready in time.
    pub async fn start() -> Result<Self, PeerError> {
        Self::start_with(InfluxdbOptions::default()).await
    }

    /// Starts one.
    ///
    /// # Errors
    /// When its program is missing, or it is not ready in time.
    pub async fn start_with(options: InfluxdbOptions) -> Result<Self, PeerError> {
        let with_auth = options.account.is_some();
        let (process, port) = Process::launch(|folder, [port, rpc_port]| {
            let path = folder.join("influxdb.conf");
            let text = config(&folder.display().to_string(), port, rpc_port, with_auth);
            std::fs::write(&path, text)?;
            Ok(Program {
                name: "influxd",
                package: "influxdb",
                arguments: vec!["-config".into(), path.display().to_string()],
                ready_url: format!("http://127.0.0.1:{port}/ping"),
            })
        })
        .await?;
        let mut influxdb = Self { process, port, account: None };
        if let Some((name, password)) = options.account {
            // The first statement needs no account when it creates the administrator.
            let statement =
                format!("CREATE USER \"{name}\" WITH PASSWORD '{password}' WITH ALL PRIVILEGES");
            influxdb.query("", &statement).await?;
            influxdb.account = Some((name, password));
        }
        Ok(influxdb)
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Runs InfluxQL as the administrator; times in the answer are milliseconds.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn query(&self, db: &str, statement: &str) -> Result<serde_json::Value, PeerError> {
        let request = http_client()?.post(format!("{}/query", self.url())).query(&[
            ("db", db),
            ("epoch", "ms"),
            ("q", statement),
        ]);
        let request = match &self.account {
            Some((name, password)) => request.basic_auth(name, Some(password)),
            None => request,
        };
        let failed = |error: reqwest::Error| PeerError::Failed(format!("{statement}: {error}"));
        let answer = request.send().await.map_err(failed)?;
        let answer: serde_json::Value = answer.json().await.map_err(failed)?;
        let refused = answer.pointer("/results/0/error").or_else(|| answer.get("error"));
        match refused {
            Some(error) => Err(PeerError::Failed(format!("{statement}: {error}"))),
            None => Ok(answer),
        }
    }
}

impl Deref for Influxdb {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Influxdb {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn config(folder: &str, port: u16, rpc_port: u16, with_auth: bool) -> String {
    format!(
        r#"
reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[subscriber]
  enabled = false
[continuous_queries]
  enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  auth-enabled = {with_auth}
  log-enabled = false
"#
    )
}
