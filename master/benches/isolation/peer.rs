//! A database that takes what it is sent and forgets it, or that hangs: HTTP/1.1 as the sinks write
//! it, and no more, so that little of what is measured is its own.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// Starts one; where it is.
pub(crate) async fn start(hangs: bool) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, hangs));
        }
    });
    Ok(address)
}

async fn serve(stream: TcpStream, hangs: bool) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut line, mut length, mut is_write) = (String::new(), 0, false);
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let head = line.trim_end().to_ascii_lowercase();
            if head.is_empty() {
                break;
            }
            is_write |= head.starts_with("post /write");
            if let Some(value) = head.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        tokio::io::copy(&mut (&mut stream).take(length), &mut tokio::io::sink()).await?;
        if hangs && is_write {
            std::future::pending::<()>().await;
        }
        stream.get_mut().write_all(ANSWER).await?;
    }
}
