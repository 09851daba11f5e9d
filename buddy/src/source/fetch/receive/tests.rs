//! Answers in pieces of every size, and answers by peers that mean no good.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures::FutureExt;
use proptest::prelude::*;
use tokio::io::ReadBuf;

use super::*;

const LIMIT: usize = 1 << 20;

/// Gives one piece a read, then the end.
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let rest = piece.split_off(piece.len().min(out.remaining()));
            out.put_slice(&piece);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Gives the same bytes for ever, and counts them.
struct Endless(&'static [u8], usize);

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while out.remaining() > 0 {
            let at = self.1 % self.0.len();
            let count = (self.0.len() - at).min(out.remaining());
            out.put_slice(&self.0[at..at + count]);
            self.1 += count;
        }
        Poll::Ready(Ok(()))
    }
}

/// The answer on a stream: body, and whether the connection may stay.
fn receive<S: AsyncRead + Unpin>(stream: &mut S, limit: usize) -> Result<(Vec<u8>, bool), Trouble> {
    let receiving = async {
        let mut buffer = Vec::new();
        let head = read_head(stream, &mut buffer).await?;
        let reusable = read_body(stream, &mut buffer, &head, limit).await?;
        Ok((buffer, reusable && head.keep_alive))
    };
    receiving.now_or_never().expect("a stream that never makes wait")
}

fn pieces(answer: &[u8], cuts: &[usize]) -> Pieces {
    let mut all = VecDeque::new();
    let mut start = 0;
    for cut in cuts.iter().copied().chain([answer.len()]) {
        all.push_back(answer[start..cut].to_vec());
        start = cut;
    }
    all.retain(|piece| !piece.is_empty());
    Pieces(all)
}

fn whole(answer: &[u8]) -> Result<(Vec<u8>, bool), Trouble> {
    receive(&mut pieces(answer, &[]), LIMIT)
}

const VALID: [(&str, &str, bool); 9] = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", true),
    ("HTTP/1.1 200 OK\ncontent-length:5\n\nhello", "hello", true),
    ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "", true),
    ("HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 5\r\n\r\nhello", "hello", false),
    ("HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", "hello", false),
    ("HTTP/1.0 200\r\nconnection: Keep-Alive\r\ncontent-length: 5\r\n\r\nhello", "hello", true),
    ("HTTP/1.1 200 OK\r\n\r\nhello", "hello", false),
    (
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nx: y\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        "hi",
        true,
    ),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3;a=\"b\"\r\nhel\r\n0002 \r\nlo\r\n0\r\nx: y\r\nz:\r\n\r\n",
        "hello",
        true,
    ),
];

/// Wherever the network cuts an answer in three, it reads the same.
#[test]
fn answers_cut_anywhere_read_the_same() {
    for (answer, body, stays) in VALID {
        let bytes = answer.as_bytes();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let received = receive(&mut pieces(bytes, &[first, second]), LIMIT);
                let (received, reusable) =
                    received.unwrap_or_else(|error| panic!("{answer}: {error:?}"));
                assert_eq!((&*received, reusable), (body.as_bytes(), stays), "{answer}");
            }
        }
        let every: Vec<usize> = (0..bytes.len()).collect();
        assert_eq!(receive(&mut pieces(bytes, &every), LIMIT).unwrap().0, body.as_bytes());
    }
}

/// An answer without its end is never taken for a whole one, except where only the end of the
/// connection says that it is whole.
#[test]
fn answers_without_their_end_are_errors() {
    for (answer, ..) in VALID.iter().filter(|(answer, ..)| !answer.contains("OK\r\n\r\nhello")) {
        for end in 0..answer.len() {
            match (end, whole(&answer.as_bytes()[..end]).unwrap_err()) {
                (0, Trouble::NoAnswer(None)) => {}
                (
                    1..,
                    Trouble::NoHead(None) | Trouble::BrokeOff(_, None) | Trouble::NoAnswer(None),
                ) => {}
                (_, other) => panic!("{answer:?} up to {end}: {other:?}"),
            }
        }
    }
}

/// What comes behind an answer was not asked for: the answer counts, the connection does not stay.
#[test]
fn a_connection_with_more_than_the_answer_does_not_stay() {
    for (answer, body, _) in VALID.iter().filter(|(answer, ..)| !answer.contains("OK\r\n\r\nhello"))
    {
        let (received, reusable) =
            whole(format!("{answer}HTTP/1.1 200 OK\r\n").as_bytes()).unwrap();
        assert_eq!((&*received, reusable), (body.as_bytes(), false), "{answer}");
    }
}

/// What two readers could read in two ways, and what overflows, is refused.
#[test]
fn answers_that_are_not_safe_are_refused() {
    for head in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5\r\ncontent-length: 5",
        "content-length: 5, 5",
        "content-length: -5",
        "content-length: +5",
        "content-length: 0x5",
        "content-length:",
        "content-length: 5 5",
        "content-length: 18446744073709551616",
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 5",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: xchunked",
        "transfer-encoding : chunked",
        "content-length: 5\r\n x: folded",
        "no colon",
        "a\0b: c",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nhello");
        let error = whole(answer.as_bytes()).unwrap_err();
        assert!(matches!(error, Trouble::Invalid(_)), "{head:?}: {error:?}");
    }
    for start in [
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked",
        "HTTP/1.1 101 Switch",
        "HTTP/1.1 099 x",
        "HTTP/1.1 2000 x",
        "HTTP/2 200 OK",
        "SSH-2.0",
        "HTTP/1.2 200 OK",
        "\r\nHTTP/1.1 200 OK",
    ] {
        let error = whole(format!("{start}\r\n\r\n0\r\n\r\n").as_bytes()).unwrap_err();
        assert!(matches!(error, Trouble::Invalid(_)), "{start:?}: {error:?}");
    }
}

#[test]
fn chunks_that_are_not_safe_are_refused() {
    for body in [
        "g\r\n",
        "\r\n",
        ";x\r\n",
        "-1\r\nx",
        "+1\r\nx",
        " 1\r\nx",
        "0x1\r\nx",
        "1\nx",
        "1\rx",
        "1\r\nxx\r\n",
        "1\r\nx\n",
        "1;a\nx",
        "1\r\nx\r\r",
        "0\r\n\n",
        "0\r\nx: y\n",
        "0\r\n\rx",
        "00000000000000001\r\nx",
        "1é\r\nx",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}");
        let error = whole(answer.as_bytes()).unwrap_err();
        assert!(matches!(error, Trouble::Invalid(_)), "{body:?}: {error:?}");
    }
}

/// A body over the limit costs nothing, whichever way it is announced.
#[test]
fn the_limit_holds_before_memory_is_spent() {
    for announced in [
        "content-length: 6\r\n\r\nhello!",
        "content-length: 18446744073709551615\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n6\r\nhello!",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n",
        "transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "x: y\r\n\r\nhello!",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{announced}");
        let error = receive(&mut pieces(answer.as_bytes(), &[]), 5).unwrap_err();
        assert!(matches!(error, Trouble::TooLarge), "{announced}: {error:?}");
    }
}

/// What has no end is given up early: heads, headers, interim answers, extensions, trailers, and
/// bodies.
#[test]
fn what_has_no_end_is_given_up() {
    let endless: [(&str, &'static [u8]); 7] = [
        ("", b"HTTP/1.1 200 OK\r\nx: y"),
        ("HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
        ("HTTP/1.1 200 OK\r\nx: ", b"y"),
        ("", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", b"x"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1;xxxxxxxx\r\nx\r\n"),
    ];
    for (start, rest) in endless {
        let mut stream = tokio::io::AsyncReadExt::chain(start.as_bytes(), Endless(rest, 0));
        let error = receive(&mut stream, LIMIT).unwrap_err();
        assert!(matches!(error, Trouble::Invalid(_)), "{start}: {error:?}");
        assert!(stream.get_ref().1.1 < 256 << 10, "{start}: {}", stream.get_ref().1.1);
    }
    let start = "HTTP/1.1 200 OK\r\n\r\n";
    let mut stream = tokio::io::AsyncReadExt::chain(start.as_bytes(), Endless(b"x", 0));
    assert!(matches!(receive(&mut stream, LIMIT).unwrap_err(), Trouble::TooLarge));
    assert!(stream.get_ref().1.1 <= 4 * LIMIT);
}

/// A head with as many headers as are allowed is read, one with more is not.
#[test]
fn headers_are_counted() {
    let head = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(count));
    assert!(whole(head(64).as_bytes()).is_ok());
    assert!(matches!(whole(head(65).as_bytes()).unwrap_err(), Trouble::Invalid(_)));
}

fn chunked(body: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let (mut rest, mut sizes) = (body, sizes.iter().cycle());
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(sizes.next().map_or(1, |size| *size).min(rest.len()));
        answer.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        answer.extend_from_slice(chunk);
        answer.extend_from_slice(b"\r\n");
        rest = after;
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    answer
}

proptest! {
    /// Whatever the chunks, and however they are cut on the way, the body is the body.
    #[test]
    fn chunks_make_up_the_body(
        body in proptest::collection::vec(any::<u8>(), 0..5000),
        sizes in proptest::collection::vec(1usize..2000, 1..8),
        cuts in proptest::collection::vec(0.0f64..1.0, 0..12),
    ) {
        let answer = chunked(&body, &sizes);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| (cut * answer.len() as f64) as usize).collect();
        cuts.sort_unstable();
        let (received, reusable) = receive(&mut pieces(&answer, &cuts), LIMIT).unwrap();
        prop_assert_eq!(received, body);
        prop_assert!(reusable);
    }

    /// Whatever comes, nothing panics, and no more is taken for the body than came.
    #[test]
    fn garbage_is_no_danger(
        start in proptest::sample::select(vec![
            "", "HTTP/1.1 ", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: ",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        ]),
        rest in proptest::collection::vec(
            prop_oneof![any::<u8>(), proptest::sample::select(b"\r\n0123456789abcdef;: ".to_vec())], 0..200,
        ),
        cut in 0.0f64..1.0,
    ) {
        let answer = [start.as_bytes(), &rest].concat();
        let cut = (cut * answer.len() as f64) as usize;
        if let Ok((body, _)) = receive(&mut pieces(&answer, &[cut]), LIMIT) {
            prop_assert!(body.len() <= answer.len());
        }
    }
}
