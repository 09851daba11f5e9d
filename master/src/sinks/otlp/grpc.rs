//! Requests over gRPC: bytes that are encoded already, on a channel that is opened when it is needed.

use std::sync::{Arc, OnceLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Buf, BufMut, Bytes};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::{Uri, uri::PathAndQuery},
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};
use tower::service_fn;

use crate::sinks::{
    SinkError,
    peer::{Credentials, PeerOptions, client_config},
};

const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// A receiver that speaks gRPC.
pub(super) struct GrpcPeer {
    endpoint: Endpoint,
    target: Target,
    /// Opened by the first request, on whose runtime it lives.
    channel: OnceLock<Channel>,
    options: PeerOptions,
    gzip: bool,
    place: String,
}

/// What to connect to, and how.
#[derive(Clone)]
struct Target {
    address: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A connection, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl GrpcPeer {
    /// A peer that is not connected yet.
    ///
    /// # Errors
    /// A sentence, when the location is no address, or a file of the options is no good.
    pub(super) fn new(location: &str, options: PeerOptions, gzip: bool) -> Result<Self, String> {
        let (host, port, is_encrypted) = address(location)?;
        let mut tls = client_config(&options, is_encrypted)?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|_| format!("`{host}` is no name of a host"))?;
        let tls = is_encrypted.then(|| (TlsConnector::from(Arc::new(tls)), name));
        let address = format!("{host}:{port}");
        let uri = |scheme: &str| {
            let uri = format!("{scheme}://{address}").parse::<Uri>();
            uri.map_err(|error| format!("the location is no address: {error}"))
        };
        let origin = uri(if is_encrypted { "https" } else { "http" })?;
        // The connector does what TLS takes, and the channel is not to do it a second time.
        let endpoint = Endpoint::from(uri("http")?).origin(origin);
        let place = format!("OTLP receiver at {address}");
        let (target, channel) = (Target { address, tls }, OnceLock::new());
        Ok(Self { endpoint, target, channel, options, gzip, place })
    }

    fn channel(&self) -> Channel {
        let open = || {
            let target = self.target.clone();
            let connector = service_fn(move |_: Uri| target.clone().connect());
            self.endpoint.connect_with_connector_lazy(connector)
        };
        self.channel.get_or_init(open).clone()
    }

    /// Who it is and where, for messages.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// As whom we appear, for messages.
    pub(super) fn account(&self) -> String {
        self.options.account()
    }

    /// Sends a request; gives the message of its answer.
    ///
    /// # Errors
    /// When a file of a secret cannot be read, or with the status that the receiver answers with.
    pub(super) async fn export(&self, body: Bytes) -> Result<Result<Bytes, Status>, SinkError> {
        let failed = |message: String| SinkError::Transient { message, retry_after: None };
        let mut request = Request::new(body);
        if let Some(header) = authorization(&self.options).map_err(failed)? {
            request.metadata_mut().insert("authorization", header);
        }
        let mut client = Grpc::new(self.channel());
        if self.gzip {
            client = client
                .send_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Gzip);
        }
        if let Err(error) = client.ready().await {
            return Ok(Err(Status::from_error(Box::new(error))));
        }
        let answer = client.unary(request, PathAndQuery::from_static(EXPORT), Plain).await;
        Ok(answer.map(tonic::Response::into_inner))
    }
}

fn authorization(
    options: &PeerOptions,
) -> Result<Option<MetadataValue<tonic::metadata::Ascii>>, String> {
    let text = match options.credentials()? {
        Credentials::None => return Ok(None),
        Credentials::Password { user, password } => {
            format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose())))
        }
        Credentials::Token(token) => format!("Bearer {}", token.expose()),
    };
    let value = text.parse().map_err(|_| "the token cannot stand in a header".to_owned())?;
    Ok(Some(value))
}

/// Host, port and whether TLS is spoken; a location without a scheme is one without TLS.
fn address(location: &str) -> Result<(String, u16, bool), String> {
    let with_scheme =
        if location.contains("://") { location.to_owned() } else { format!("http://{location}") };
    let url =
        Url::parse(&with_scheme).map_err(|error| format!("the location is no URL: {error}"))?;
    let is_encrypted = url.scheme() == "https";
    let host = url.host_str().filter(|_| is_encrypted || url.scheme() == "http");
    let host = host.ok_or("the location must be like http://127.0.0.1:4317")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("write the account as options, user=NAME&password=PASSWORD".into());
    }
    Ok((host.to_owned(), url.port().unwrap_or(4317), is_encrypted))
}

impl Target {
    async fn connect(self) -> std::io::Result<TokioIo<Box<dyn Stream>>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match self.tls {
            Some((connector, name)) => Box::new(connector.connect(name, stream).await?),
            None => Box::new(stream),
        };
        Ok(TokioIo::new(stream))
    }
}

/// Messages as they are.
#[derive(Clone, Copy, Debug)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(bytes.copy_to_bytes(bytes.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_addresses() {
        let plain = |host: &str, port| Ok((host.to_owned(), port, false));
        assert_eq!(address("h"), plain("h", 4317));
        assert_eq!(address("http://[::1]:9"), plain("[::1]", 9));
        assert_eq!(address("https://h"), Ok(("h".to_owned(), 4317, true)));
        for (location, expected) in
            [("ftp://h", "must be like"), ("http://u:hunter2@h", "write the account as options")]
        {
            let error = address(location).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        }
    }
}
