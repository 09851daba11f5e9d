//! A connection to a server, by NATS's text protocol.

use std::{sync::Arc, time::Duration};

use rustls::ClientConfig;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::{
    answer::{self, Ack, Info, Line},
    encoder::Message,
    nkey::Creds,
};
use crate::sinks::peer::{Credentials, Stream, connect, encrypt};

/// The longest line and the longest message that are read.
const LINE_BYTES: usize = 64 << 10;
const MESSAGE_BYTES: usize = 1 << 20;
/// How long a server may take to say that it is still there.
const ALIVE: Duration = Duration::from_secs(2);

/// As whom to appear.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) tls: Arc<ClientConfig>,
    pub(super) secure: bool,
    pub(super) credentials: Credentials,
    pub(super) creds: Option<Creds>,
}

/// A server that has let us in, and sends what comes to our inbox. Whoever gives up waiting for an
/// answer has to give up the connection.
pub(super) struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    address: String,
    info: Info,
    inbox: String,
}

impl Connection {
    /// Connects and logs in.
    ///
    /// # Errors
    /// A sentence with the server's address.
    pub(super) async fn open(address: &str, access: &Access) -> Result<Self, String> {
        let stream = connect(address, None).await.map_err(|error| {
            format!("cannot reach NATS at {address}: {error}; check that it is running and that this is its address")
        })?;
        let inbox = format!("_INBOX.{}", uuid::Uuid::new_v4().simple());
        let (stream, info) = (BufReader::new(stream), Info::default());
        let mut connection = Self { stream, address: address.to_owned(), info, inbox };
        let Line::Info(info) = connection.line().await? else {
            return Err(connection.strange());
        };
        connection.info = serde_json::from_str(&info).map_err(|_| connection.strange())?;
        if access.secure || connection.info.tls_required {
            connection = connection.encrypted(&access.tls).await?;
        }
        if !connection.info.headers {
            return Err(format!(
                "{} is older than 2.2, the first with headers",
                connection.place()
            ));
        }
        connection.log_in(access).await?;
        Ok(connection)
    }

    async fn encrypted(self, tls: &Arc<ClientConfig>) -> Result<Self, String> {
        let Self { stream, address, info, inbox } = self;
        let encrypted = encrypt(stream.into_inner(), &address, tls).await;
        let encrypted = encrypted.map_err(|error| format!("NATS at {address}: TLS: {error}"))?;
        let stream: Box<dyn Stream> = Box::new(encrypted);
        Ok(Self { stream: BufReader::new(stream), address, info, inbox })
    }

    async fn log_in(&mut self, access: &Access) -> Result<(), String> {
        let mut hello = json!({
            "verbose": false, "pedantic": false, "lang": "rust", "name": "heapster",
            "version": env!("CARGO_PKG_VERSION"), "protocol": 1, "headers": true,
            "no_responders": true,
        });
        match &access.credentials {
            Credentials::None => {}
            Credentials::Password { user, password } => {
                hello["user"] = user.as_str().into();
                hello["pass"] = password.expose().into();
            }
            Credentials::Token(token) => hello["auth_token"] = token.expose().into(),
        }
        if let Some(creds) = &access.creds {
            let login = creds.login(&self.info.nonce)?;
            hello[login.who.0] = login.who.1.into();
            hello["sig"] = login.signature.into();
        }
        let text = format!("CONNECT {hello}\r\nSUB {}.* 1\r\nPING\r\n", self.inbox);
        self.send(text.as_bytes()).await?;
        self.pong().await
    }

    /// Where answers go; a token has to be appended.
    pub(super) fn inbox(&self) -> &str {
        &self.inbox
    }

    /// The longest message that the server takes, headers included.
    pub(super) const fn longest_message(&self) -> usize {
        self.info.max_payload
    }

    /// Who it is and where, for messages.
    pub(super) fn place(&self) -> String {
        format!("NATS at {}", self.address)
    }

    /// Whether the server is still there: one that has waited may be the end of a dead connection.
    pub(super) async fn is_alive(&mut self) -> bool {
        let asked = async {
            self.send(b"PING\r\n").await?;
            self.pong().await
        };
        matches!(tokio::time::timeout(ALIVE, asked).await, Ok(Ok(())))
    }

    async fn pong(&mut self) -> Result<(), String> {
        loop {
            match self.next().await? {
                Next::Pong => return Ok(()),
                Next::Message(..) => {}
            }
        }
    }

    /// Publishes messages whose frames lie in `text`, and waits for the answer to each.
    ///
    /// # Errors
    /// A sentence, when not all were answered.
    pub(super) async fn publish(
        &mut self,
        text: &[u8],
        messages: &[Message],
    ) -> Result<Vec<Ack>, String> {
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else {
            return Ok(Vec::new());
        };
        self.send(&text[first.begin..last.end]).await?;
        let mut acks = vec![None; messages.len()];
        let mut left = messages.len();
        while left > 0 {
            let Next::Message(subject, head, body) = self.next().await? else { continue };
            let number = subject.rsplit('.').next().and_then(|token| token.parse::<usize>().ok());
            let slot = number.and_then(|number| number.checked_sub(first.number));
            // One that was not asked for belongs to nobody.
            if let Some(slot @ None) = slot.and_then(|slot| acks.get_mut(slot)) {
                *slot = Some(answer::ack(&head, &body, &self.place()));
                left -= 1;
            }
        }
        Ok(acks.into_iter().flatten().collect())
    }

    /// Asks something of a service; gives its answer.
    ///
    /// # Errors
    /// A sentence, when it is not allowed, or there is none.
    pub(super) async fn request(&mut self, subject: &str, body: &str) -> Result<Vec<u8>, String> {
        let text = format!("PUB {subject} {}.api {}\r\n{body}\r\n", self.inbox, body.len());
        self.send(text.as_bytes()).await?;
        loop {
            if let Next::Message(_, head, body) = self.next().await? {
                if head.is_empty() {
                    return Ok(body);
                }
                return Err(format!("{} has no JetStream; start it with -js", self.place()));
            }
        }
    }

    async fn send(&mut self, text: &[u8]) -> Result<(), String> {
        let sent = async {
            self.stream.write_all(text).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| self.broken(&error))
    }

    /// The next thing that matters; answers questions of the server's on the way.
    async fn next(&mut self) -> Result<Next, String> {
        loop {
            match self.line().await? {
                Line::Ping => self.send(b"PONG\r\n").await?,
                Line::Pong => return Ok(Next::Pong),
                Line::Ok | Line::Info(_) => {}
                Line::Error(words) => {
                    let place = self.place();
                    return Err(format!(
                        "{place} says: {words}; check user, password, token or creds, and what it may do"
                    ));
                }
                Line::Message { subject, head, whole } => {
                    let mut bytes = self.bytes(whole).await?;
                    let body = bytes.split_off(head);
                    return Ok(Next::Message(subject, bytes, body));
                }
            }
        }
    }

    async fn line(&mut self) -> Result<Line, String> {
        let mut text = Vec::new();
        let limited = (&mut self.stream).take(LINE_BYTES as u64);
        let read = { limited }.read_until(b'\n', &mut text).await;
        read.map_err(|error| self.broken(&error))?;
        if !text.ends_with(b"\n") {
            return Err(self.broken(&std::io::ErrorKind::UnexpectedEof.into()));
        }
        let text = String::from_utf8_lossy(&text);
        answer::line(text.trim_end()).ok_or_else(|| self.strange())
    }

    async fn bytes(&mut self, count: usize) -> Result<Vec<u8>, String> {
        if count > MESSAGE_BYTES {
            return Err(self.strange());
        }
        // The line break behind it too.
        let mut bytes = vec![0; count + 2];
        let read = self.stream.read_exact(&mut bytes).await;
        read.map_err(|error| self.broken(&error))?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn broken(&self, error: &std::io::Error) -> String {
        format!("{} breaks off: {error}; see its log", self.place())
    }

    fn strange(&self) -> String {
        format!("{} does not speak as NATS does; check its address", self.place())
    }
}

enum Next {
    Pong,
    /// Subject, headers and body.
    Message(String, Vec<u8>, Vec<u8>),
}
