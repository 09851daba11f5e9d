//! What askers send to the master's API.

use heapster_master::{http::door, sinks::influxdb_door};

use super::{Target, text, two};

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "model-path",
        run: |input| {
            let path = text(input);
            let with_slash = format!("{path}/");
            let asked = door::model_path(&path);
            // A path means the same with and without a slash at its end.
            if asked.is_some() && !path.ends_with('/') {
                assert_eq!(door::model_path(&with_slash), asked);
            }
        },
        recorded: &[],
        made: || {
            [
                "/api/v1/model/nodes/a/freecontainers/%2Fsystem.slice%2Fdocker.service/metrics/cpu/usage",
                "/api/v1/clusters/lab%20a/model/namespaces/n/pods/p/containers/c/metrics/memory%2Fusage",
                "/api/v1/model/namespaces/n/pod-list/a,b/metrics/memory/usage",
            ]
            .map(|path| path.as_bytes().to_vec())
            .into()
        },
    },
    Target {
        name: "parameters",
        run: |input| {
            let (times, labels) = two(input);
            let (start, end) = two(times);
            if let Some((start, end, count)) =
                door::parameters(&text(start), &text(end), &text(labels))
            {
                assert!(start <= end && count <= labels.len(), "{start} to {end}");
            }
        },
        recorded: &[],
        made: || {
            vec![b"2026-11-22T11:00:00Z\x1ea:b,c:d".to_vec(), b"2026-11-22 11:00:00 01:00".to_vec()]
        },
    },
    Target {
        name: "page",
        run: |input| {
            let shown = door::in_page(&text(input));
            assert!(!shown.contains(['<', '>', '"', '\'']), "{shown} can leave its place");
        },
        recorded: &[],
        made: || vec![b"<a href='x'>&\"</a>".to_vec()],
    },
    Target {
        name: "influxdb-answer",
        run: |input| {
            let (wait, body) = two(input);
            for status in [204, 400, 429, 503] {
                let says = influxdb_door::says(status, wait, body).unwrap_or_default();
                assert!(says.chars().count() <= 303, "a quotation of {} bytes", says.len());
                assert!(!says.contains(char::is_control), "{says:?} breaks a line of the log");
            }
        },
        recorded: &[],
        made: || {
            vec![
                b"30\x1e{\"error\":\"partial write: points beyond retention policy dropped=3\"}".to_vec(),
                b"Sun, 22 Nov 2026 11:00:00 GMT\x1e{\"code\":\"x\",\"message\":\"unable to parse\"}".to_vec(),
            ]
        },
    },
];
