//! Answers of HTTP as the buddy's own client reads them off a connection.

use heapster_buddy::source::fetch::door::read_answer;

use super::Target;

const LIMIT: usize = 4096;

pub(super) const TARGETS: &[Target] = &[Target {
    name: "http-answer",
    run: answer,
    recorded: &[],
    made: || {
        let heads = [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 Not Found\r\n\r\nnobody",
            "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 3\nConnection: close, x\n\nabc",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1000\r\n",
        ];
        heads.map(|head| head.as_bytes().to_vec()).into()
    },
}];

/// However an answer falls into reads, it is the same; and no body passes the limit.
fn answer(input: &[u8]) {
    let whole = read_answer(input, usize::MAX, LIMIT).ok();
    for a_read in [1, 3, 64] {
        let mut parted = read_answer(input, a_read, LIMIT).ok();
        if let (Some(parted), Some(whole)) = (&mut parted, &whole) {
            // What follows an answer is only seen when it has come.
            assert!(parted.reusable || !whole.reusable, "reused with bytes of the next answer");
            parted.reusable = whole.reusable;
        }
        assert_eq!(parted, whole, "in reads of {a_read}");
    }
    let body = whole.map(|answer| answer.body.len()).unwrap_or_default();
    assert!(body <= LIMIT.min(input.len()), "a body of {body} bytes");
}
