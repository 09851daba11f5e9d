//! The documents of kubelets.

use heapster_buddy::source::kubelet_bench::DocumentReader;

use super::{Target, joined, nothing_made, readings, text, two};

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "summary",
        run: |input| {
            document("summary", input);
            both_ways(input);
        },
        recorded: &[
            "buddy/testdata/kubelet/stats_summary",
            "buddy/testdata/enrichment/stats-summary.json",
            "testkit/testdata/kubelet-1.20-stats-summary-light.json",
            "testkit/testdata/kubelet-1.20-stats-summary-proxied.json",
        ],
        made: nothing_made,
    },
    Target {
        name: "resource",
        run: |input| document("resource", input),
        recorded: &["buddy/testdata/kubelet/metrics_resource"],
        made: nothing_made,
    },
    Target {
        name: "kubelet-cadvisor",
        run: |input| document("kubelet-cadvisor", input),
        recorded: &[],
        made: cadvisor_metrics,
    },
];

/// What was remembered of a host's answer before changes nothing in what is read of the next.
fn document(kind: &str, input: &[u8]) {
    let Some(mut reader) = DocumentReader::new(kind) else { panic!("no source {kind}") };
    let (first, second) = two(input);
    let (first, second) = (text(first), text(second));
    let anew = reader.read(&first).inspect(readings::hold).ok();
    if second.is_empty() {
        let again = reader.read(&first).ok();
        assert_eq!(anew.is_some(), again.is_some(), "read once, refused the second time");
        if let (Some(anew), Some(again)) = (&anew, &again) {
            readings::agree(anew, again, "anew and again");
        }
        return;
    }
    let remembering = reader.read(&second).inspect(readings::hold).ok();
    reader.forget();
    let anew = reader.read(&second).ok();
    assert_eq!(anew.is_some(), remembering.is_some(), "what was before decides what is refused");
    if let (Some(anew), Some(remembering)) = (&anew, &remembering) {
        readings::agree(anew, remembering, "anew and after another answer");
    }
}

/// The quick way reads what the general decoder reads.
fn both_ways(input: &[u8]) {
    let answer = text(two(input).0);
    let general = DocumentReader::read_summary_generally(&answer).ok();
    let quick = DocumentReader::new("summary").and_then(|mut reader| reader.read(&answer).ok());
    assert_eq!(quick.is_some(), general.is_some(), "one of the two ways refuses it");
    if let (Some(quick), Some(general)) = (&quick, &general) {
        readings::agree(quick, general, "quick and general");
    }
}

/// Lines from all over a recorded answer, which as a whole has 200 KB.
fn cadvisor_metrics() -> Vec<Vec<u8>> {
    let all = include_str!("../../../buddy/testdata/kubelet/metrics_cadvisor");
    let lines: Vec<&str> = all.lines().collect();
    let part = |step: usize| {
        let some: Vec<&str> = lines.iter().copied().step_by(step).collect();
        some.join("\n")
    };
    vec![
        part(37).into_bytes(),
        part(101).into_bytes(),
        lines[..60].join("\n").into_bytes(),
        joined(&part(53), &part(53)),
        joined(&part(61), &part(59)),
    ]
}
