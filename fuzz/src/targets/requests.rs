//! What askers send to the APIs of master and buddy.

use heapster_buddy::metrics_api::door::asked;
use heapster_master::{
    http::door,
    sinks::{google_door, influxdb_door},
};

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
        name: "metrics-api",
        run: |input| {
            let (path, query) = two(input);
            let (path, query) = (text(path), text(query));
            let get = asked("GET", &path, &query);
            let of_resource = get.as_ref().is_some_and(|get| get.contains("Resource {"));
            assert!(!of_resource || asked("HEAD", &path, &query) == get, "{path}: HEAD is no GET");
            let delete = asked("DELETE", &path, &query);
            assert_eq!(delete.is_some(), get.is_some());
            assert!(delete.is_none() || delete != get, "{path}: a delete is asked about as a get");
        },
        recorded: &[],
        made: || {
            [
                "/apis/metrics.k8s.io/v1beta1/nodes/a\x1epretty=1&fieldSelector=metadata.name%3Da",
                "/apis/metrics.k8s.io/v1beta1/namespaces/n/pods/p\x1elabelSelector=a%20in%20(b,c)",
                "/apis/metrics.k8s.io/v1beta1/pods\x1ewatch=1&includeObject=Object",
            ]
            .map(|asked| asked.as_bytes().to_vec())
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
        name: "query",
        run: |input| {
            if let Some((start, end, count)) = door::query(&text(input)) {
                assert!(start <= end && count <= input.len(), "{start} to {end}");
            }
        },
        recorded: &[],
        made: || {
            [
                "start=2026-11-22T11:00:00Z&end=2026-11-22T12:00:00%2B01:00&labels=a:b,c:d&cluster=lab",
                "labels=%ff%20:,x%3Ay&&cluster&start=+&unknown=1",
            ]
            .map(|query| query.as_bytes().to_vec())
            .into()
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
        name: "gcm-answer",
        run: |input| {
            for status in [200, 400, 500] {
                let refused = google_door::refused(status, input).unwrap_or_default();
                assert!(refused < 200, "{refused} of 200 are refused, and others taken");
            }
        },
        recorded: &[],
        made: || {
            let head: &[u8] =
                br#"{"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"@type":"#;
            let details: [&[u8]; 3] = [
                br#""x/CreateTimeSeriesSummary","totalPointCount":200,"successPointCount":199}]}}"#,
                br#""x/WriteLogEntriesPartialErrors","logEntryErrors":{"0":{"code":3}}}]}}"#,
                br#""x/google.rpc.RetryInfo","retryDelay":"1.5s"}]}}"#,
            ];
            details.iter().map(|details| [head, *details].concat()).collect()
        },
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
