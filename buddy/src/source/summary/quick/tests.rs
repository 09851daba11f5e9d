//! The quick way held against the general decoder, over polls that follow each other.

use std::fmt::Write;

use heapster_testkit::{
    http,
    sim::{SimCluster, SimConfig},
};
use proptest::prelude::*;

use super::*;
use crate::source::{
    Layouts, Shapes,
    json::decode,
    kubelet::Document,
    summary::{Summary, answer, map},
};

const RECORDED: &str = include_str!("../../../../testdata/kubelet/stats_summary");

/// A host that is polled again and again.
#[derive(Default)]
struct Warm {
    shapes: Shapes,
    layouts: Layouts,
}

impl Warm {
    /// Polls, and holds the outcome against what the general decoder gives for a host that is new.
    fn poll(&mut self, text: &str) {
        let warm = Summary::read("http://h/x", text, &mut self.shapes, &self.layouts);
        let general = decode::<answer::Summary<'_>>("http://h/x", text).map(|answer| {
            let (mut shapes, layouts) = (Shapes::default(), Layouts::default());
            map::readings(&answer, Recorder::new(&mut shapes, &layouts))
        });
        match (warm, general) {
            (Ok(warm), Ok(general)) => assert_eq!(shown(&warm), shown(&general), "in {text}"),
            (Err(warm), Err(general)) => assert_eq!(warm.to_string(), general.to_string()),
            (warm, general) => panic!("{warm:?} is not {general:?} in {text}"),
        }
    }
}

fn shown(readings: &Readings) -> String {
    let given: Vec<_> = readings.iter().map(|(reading, _)| reading.given_cpu_nanocores).collect();
    format!("{:#?} {given:?}", readings.to_plain())
}

/// Whether the quick way reads it to the end.
fn is_quick(text: &str) -> bool {
    let (mut shapes, layouts) = (Shapes::default(), Layouts::default());
    readings(text, Recorder::new(&mut shapes, &layouts)).is_some_and(|all| !all.is_empty())
}

/// What real and simulated kubelets give is read the quick way, indented or not.
#[tokio::test(flavor = "multi_thread")]
async fn real_and_simulated_answers_are_read_the_quick_way() {
    let compact: serde_json::Value = serde_json::from_str(RECORDED).unwrap();
    assert!(is_quick(RECORDED) && is_quick(&compact.to_string()));
    let housekeeping = std::time::Duration::ZERO;
    let config = SimConfig { sandboxes: true, housekeeping, ..SimConfig::default() };
    let cluster = SimCluster::start(config).await.unwrap();
    let host = &cluster.hosts()[0];
    let url = format!("http://{}:{}/stats/summary", host.address, host.port);
    let mut warm = Warm::default();
    for _ in 0..3 {
        let answer = http::get(&url).unwrap().body;
        assert!(is_quick(&answer), "{answer}");
        warm.poll(&answer);
    }
}

/// Other forms are left to the general decoder, which takes some and names what is wrong in others.
#[test]
fn other_forms_are_left_to_the_general_decoder() {
    let cpu = r#""cpu":{"time":"2026-11-22T11:18:33Z","usageCoreNanoSeconds":9}"#;
    let pod = r#"{"podRef":{"name":"p","namespace":"d"},"startTime":"2026-11-22T11:18:33Z"}"#;
    let quick = format!(r#"{{"node":{{{cpu}}},"pods":[{pod}]}}"#);
    assert!(is_quick(&quick));
    let others = [
        format!(r#"{{"pods":[{pod}],"node":{{{cpu}}}}}"#),
        format!(r#"{{"node":{{{cpu}}},"pods":[{pod},{pod}]}}"#),
        format!(r#"{{"node":{{{cpu}}},"pods":null}}"#),
        format!(r#"{{"node":{{{cpu}}},"node":{{{cpu}}}}}"#),
        format!(r#"{{"node":{{{cpu},"memory":{{"usageBytes":1.5}}}}}}"#),
        format!(
            r#"{{"node":{{{cpu}}},"pods":[{{"podRef":{{"name":"\u0070","namespace":"d"}}}}]}}"#
        ),
        format!(r#"{{"node":{{{cpu}}},"pods":[{{"startTime":"x"}}]}}"#),
        format!("{quick} x"),
        r#"{"pods":[]}"#.to_owned(),
        "null".to_owned(),
    ];
    for text in others {
        assert!(!is_quick(&text), "{text}");
        Warm::default().poll(&text);
    }
}

/// A pod of a made-up answer.
#[derive(Clone, Debug)]
struct Made {
    name: u8,
    uid: u8,
    started: u8,
    has_network: bool,
    containers: Vec<(u8, u64)>,
}

fn made() -> impl Strategy<Value = Made> {
    let containers = prop::collection::vec((0..3_u8, 0..4_u64), 0..4);
    let parts = (0..5_u8, 0..3_u8, 0..9_u8, any::<bool>(), containers);
    parts.prop_map(|(name, uid, started, has_network, containers)| Made {
        name,
        uid,
        started,
        has_network,
        containers,
    })
}

fn answer(pods: &[Made]) -> String {
    let mut text = r#"{"node":{"nodeName":"n"},"pods":["#.to_owned();
    for (index, pod) in pods.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let Made { name, uid, started, .. } = pod;
        write!(
            text,
            r#"{comma}{{"podRef":{{"name":"p{name}","namespace":"d","uid":"{uid}"}},"startTime":"2026-11-22T11:18:0{started}Z","containers":["#
        )
        .unwrap();
        for (index, (name, usage)) in pod.containers.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(
                text,
                r#"{comma}{{"name":"c{name}","startTime":"2026-11-22T11:18:0{usage}Z","cpu":{{"time":"2026-11-22T11:18:33Z","usageCoreNanoSeconds":{usage}}},"memory":{{"time":"2026-11-22T11:18:33Z","workingSetBytes":{usage}}}}}"#
            )
            .unwrap();
        }
        text.push(']');
        if pod.has_network {
            text.push_str(r#","network":{"time":"2026-11-22T11:18:34Z","rxBytes":7}"#);
        }
        text.push('}');
    }
    text + "]}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Pods come, go, change places and have namesakes, in whole answers and in broken ones.
    #[test]
    fn polls_do_not_depend_on_those_before(
        polls in prop::collection::vec(
            (prop::collection::vec(made(), 0..6), prop::option::weighted(0.15, 0..900_usize)),
            1..8,
        ),
    ) {
        let mut warm = Warm::default();
        for (pods, cut) in polls {
            let whole = answer(&pods);
            let length = cut.map_or(whole.len(), |cut| cut.min(whole.len()));
            warm.poll(&whole[..length]);
        }
    }

    /// A recorded answer with a piece of it gone, doubled or replaced.
    #[test]
    fn damaged_answers(
        at in any::<prop::sample::Index>(),
        length in 0..60_usize,
        with in prop::sample::select(vec!["", "\"", "{", "]", ",", "0", "null", "\\", "1.5", " ", "\u{b}"]),
        doubled in any::<bool>(),
    ) {
        let start = at.index(RECORDED.len());
        let end = (start + length).min(RECORDED.len());
        let again = if doubled { &RECORDED[start..end] } else { "" };
        let rest = &RECORDED[if doubled { start } else { end }..];
        let damaged = format!("{}{with}{again}{rest}", &RECORDED[..start]);
        let mut warm = Warm::default();
        for text in [RECORDED, &damaged, RECORDED] {
            warm.poll(text);
        }
    }
}
