//! A connection to one broker: requests one after the other, each with its answer.

use std::sync::Arc;

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    codes,
    messages::{Api, Versions, read_versions},
    sasl::{self, Mechanism, Scram},
    wire::{Put, Reader, Unreadable},
};
use crate::sinks::peer::{Credentials, Stream, connect};

/// The longest answer that is read.
const ANSWER_BYTES: i32 = 16 << 20;

/// How to reach brokers, and as whom.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) credentials: Credentials,
    pub(super) mechanism: Mechanism,
}

/// A broker that has let us in. Whoever gives up waiting for an answer has to give up the connection,
/// since the answer would be taken for that to the next request.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    address: String,
    number: i32,
    versions: Versions,
}

impl Connection {
    /// Connects and logs in.
    ///
    /// # Errors
    /// A sentence with the broker's address.
    pub(super) async fn open(address: &str, access: &Access) -> Result<Self, String> {
        let stream = connect(address, access.tls.as_ref()).await.map_err(|error| {
            format!("cannot reach Kafka at {address}: {error}; check that a broker listens there")
        })?;
        let mut connection =
            Self { stream, address: address.to_owned(), number: 0, versions: Versions::new() };
        let answer = connection.ask(Api::Versions, 0, &[]).await?;
        let (code, versions) = connection.read(read_versions(&answer))?;
        if code != codes::NONE {
            return Err(connection.said("does not tell its versions", code, ""));
        }
        connection.versions = versions;
        connection.log_in(access).await?;
        Ok(connection)
    }

    /// `host:port` of the broker.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The newest version of a kind of request, up to `newest`, that the broker has too.
    ///
    /// # Errors
    /// A sentence, when it has none from `oldest` on.
    pub(super) fn version(&self, api: Api, oldest: i16, newest: i16) -> Result<i16, String> {
        let (first, last) = self.versions.get(&(api as i16)).copied().unwrap_or((0, -1));
        let version = newest.min(last);
        if version < oldest || version < first {
            return Err(format!(
                "Kafka at {} has {api:?} in versions {first} to {last}, not {oldest} to {newest}; Kafka 0.11 and later do",
                self.address
            ));
        }
        Ok(version)
    }

    /// Sends a request; gives the answer without its header.
    ///
    /// # Errors
    /// A sentence with the broker's address.
    pub(super) async fn ask(
        &mut self,
        api: Api,
        version: i16,
        body: &[u8],
    ) -> Result<Vec<u8>, String> {
        self.number = self.number.wrapping_add(1);
        let mut head = Vec::with_capacity(32);
        head.put_count(0);
        head.put_i16(api as i16);
        head.put_i16(version);
        head.put_i32(self.number);
        head.put_string("heapster");
        let length = i32::try_from(head.len() - 4 + body.len()).unwrap_or(i32::MAX);
        head[..4].copy_from_slice(&length.to_be_bytes());
        let answered = self.exchange(&head, body).await;
        let answer = answered.map_err(|error| {
            format!("Kafka at {} breaks off: {error}; see its log", self.address)
        })?;
        let mut reader = Reader(&answer);
        if reader.i32() != Ok(self.number) {
            return Err(self.unreadable());
        }
        Ok(answer[4..].to_vec())
    }

    async fn exchange(&mut self, head: &[u8], body: &[u8]) -> std::io::Result<Vec<u8>> {
        self.stream.write_all(head).await?;
        self.stream.write_all(body).await?;
        self.stream.flush().await?;
        let length = self.stream.read_i32().await?;
        let length = usize::try_from(length.min(ANSWER_BYTES)).unwrap_or(0);
        // It grows as bytes come, whatever their number is said to be.
        let mut answer = Vec::new();
        let stream = &mut self.stream;
        stream.take(length as u64).read_to_end(&mut answer).await?;
        if answer.len() < length {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(answer)
    }

    /// What was read of an answer.
    ///
    /// # Errors
    /// A sentence, when it could not be.
    pub(super) fn read<T>(&self, read: Result<T, Unreadable>) -> Result<T, String> {
        read.map_err(|Unreadable| self.unreadable())
    }

    fn unreadable(&self) -> String {
        format!(
            "{} does not answer as Kafka does; check its address, and whether it wants TLS",
            self.address
        )
    }

    fn said(&self, what: &str, code: i16, words: &str) -> String {
        let colon = if words.is_empty() { "" } else { ": " };
        format!("Kafka at {} {what}: {}{colon}{words}", self.address, codes::name(code))
    }

    async fn log_in(&mut self, access: &Access) -> Result<(), String> {
        match &access.credentials {
            Credentials::None => Ok(()),
            Credentials::Token(token) => {
                self.handshake("OAUTHBEARER").await?;
                self.authenticate(&sasl::bearer(token.expose())).await.map(drop)
            }
            Credentials::Password { user, password } => {
                self.handshake(access.mechanism.name()).await?;
                match access.mechanism.hash() {
                    None => {
                        let message = sasl::plain(user, password.expose());
                        self.authenticate(&message).await.map(drop)
                    }
                    Some(hash) => {
                        let nonce = uuid::Uuid::new_v4().simple().to_string();
                        self.scram(Scram::new(hash, user, password.expose(), &nonce)).await
                    }
                }
            }
        }
    }

    async fn handshake(&mut self, mechanism: &str) -> Result<(), String> {
        let mut body = Vec::new();
        body.put_string(mechanism);
        let answer = self.ask(Api::SaslHandshake, 1, &body).await?;
        let mut reader = Reader(&answer);
        let code = self.read(reader.i16())?;
        if code == codes::NONE {
            return Ok(());
        }
        let has = self.read(reader.each(Reader::string))?.join(", ");
        Err(self.said(
            &format!("has no login by {mechanism}"),
            code,
            &format!("it has {has}; see sasl="),
        ))
    }

    async fn authenticate(&mut self, message: &[u8]) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        body.put_bytes(message);
        let answer = self.ask(Api::SaslAuthenticate, 0, &body).await?;
        let mut reader = Reader(&answer);
        let (code, words) = (self.read(reader.i16())?, self.read(reader.string())?);
        if code != codes::NONE {
            let what = "refuses the login; check user, password and sasl";
            return Err(self.said(what, code, &words));
        }
        Ok(self.read(reader.bytes())?.to_vec())
    }

    async fn scram(&mut self, mut scram: Scram) -> Result<(), String> {
        let first = self.authenticate(scram.first().as_bytes()).await?;
        let first = String::from_utf8_lossy(&first).into_owned();
        // Thousands of rounds of a hash: away from the threads that others wait for.
        let reckoned = tokio::task::spawn_blocking(move || {
            let last = scram.last(&first);
            (scram, last)
        });
        let (scram, last) = reckoned.await.map_err(|error| error.to_string())?;
        let last = last.map_err(|message| self.said(&message, codes::NONE, ""))?;
        let answer = self.authenticate(last.as_bytes()).await?;
        if scram.is_true(&String::from_utf8_lossy(&answer)) {
            return Ok(());
        }
        Err(format!("Kafka at {} does not know the user's password itself", self.address))
    }
}
