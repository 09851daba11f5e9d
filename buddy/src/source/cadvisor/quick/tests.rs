//! The quick way held against the general decoder, over polls that follow each other: whatever is
//! remembered of the polls before, a poll gives what a host that is new would give.

use std::{fmt::Write, sync::Arc};

use heapster_testkit::{
    http,
    sim::{Flavour, SimCluster, SimConfig},
};
use proptest::prelude::*;

use super::*;
use crate::source::{
    Layouts, Readings, Shapes,
    cadvisor::{
        api::{Answers, Api},
        facts::Facts,
        known::Known,
    },
};

const RECORDED: [&str; 2] = [
    include_str!("../../../../testdata/cadvisor/v2.1-stats-rec-c1.json"),
    include_str!("../../../../testdata/cadvisor/kubernetes.json"),
];
const MACHINE_STATS: &str = include_str!("../../../../testdata/cadvisor/v2.1-machinestats.json");

/// A host that is polled again and again.
#[derive(Default)]
struct Warm {
    facts: Facts,
    shapes: Shapes<Known>,
    layouts: Layouts,
}

impl Warm {
    /// Polls, holds the outcome against that of the general decoder, and gives it.
    fn poll(&mut self, main: &str, other: &str) -> Option<Readings> {
        let answers = Answers::given(Api::V2_1, main.to_owned(), other.to_owned());
        let cold = answers.read_generally(&self.facts);
        let warm = answers.read(&self.facts, &mut self.shapes, &self.layouts);
        match (warm, cold) {
            (Ok(warm), Ok(cold)) => {
                let shown = |readings: &Readings| format!("{:#?}", readings.to_plain());
                assert_eq!(shown(&warm), shown(&cold), "in {main}");
                Some(warm)
            }
            (Err(warm), Err(cold)) => {
                assert_eq!(warm.to_string(), cold.to_string(), "in {main}");
                None
            }
            (warm, cold) => panic!("{warm:?} is not {cold:?} in {main}"),
        }
    }
}

/// Whether the quick way reads it to the end, on a host that was polled with it before.
fn is_quick(text: &str) -> bool {
    let (facts, mut shapes, layouts) = (Facts::default(), Shapes::default(), Layouts::default());
    (0..2).all(|_| {
        let recorder = crate::source::Recorder::new(&mut shapes, &layouts);
        let mut mapper = Mapper::new(&facts, recorder);
        add_containers(text, &mut mapper).is_some() && !mapper.finish().is_empty()
    })
}

/// Same subjects, same layouts, in the same order.
fn same_shapes(one: &Readings, other: &Readings) -> bool {
    one.len() == other.len()
        && one.iter().zip(other.iter()).all(|((one, _), (other, _))| {
            Arc::ptr_eq(&one.subject, &other.subject) && Arc::ptr_eq(&one.layout, &other.layout)
        })
}

/// What a real cAdvisor and the simulated ones give is read the quick way, and as the general
/// decoder reads it; what did not change is the same `Arc`.
#[tokio::test(flavor = "multi_thread")]
async fn real_and_simulated_answers_are_read_the_quick_way() {
    assert!(machine_stats(MACHINE_STATS).is_some() && is_quick(RECORDED[0]));
    for flavour in [Flavour::Kubernetes, Flavour::Docker] {
        let housekeeping = std::time::Duration::ZERO;
        let config = SimConfig { flavour, sandboxes: true, housekeeping, ..SimConfig::default() };
        let cluster = SimCluster::start(config).await.unwrap();
        let base = format!("http://{}:{}", cluster.hosts()[0].address, cluster.hosts()[0].port);
        let get = |request: &str| http::get(&format!("{base}/api/v2.1/{request}")).unwrap().body;
        let mut warm = Warm::default();
        let mut before: Option<Readings> = None;
        for _ in 0..3 {
            let main = get("stats/?type=name&recursive=true&count=1");
            let other = get("machinestats?count=1");
            assert!(is_quick(&main) && machine_stats(&other).is_some(), "{main}");
            let readings = warm.poll(&main, &other).unwrap();
            assert!(before.is_none_or(|before| same_shapes(&before, &readings)));
            before = Some(readings);
        }
    }
}

/// Samples are read as the general decoder reads them, field by field.
#[test]
fn samples_are_what_the_general_decoder_reads() {
    let samples = [
        MACHINE_STATS,
        r#"[{"timestamp":"2026-11-22T10:49:11Z","has_cpu":false,"cpu":{},"memory":{"usage":1,"x":[]}}]"#,
        r#"[{"timestamp":"2026-11-22T10:49:11Z","accelerators":[{"id":"a\n","memory_used":3}],
           "custom_metrics":{"q":[{"float_value":0.5}]}}]"#,
        r#"[{"timestamp":"2026-11-22T10:49:11Z","diskio":{"io_service_bytes":[{"stats":{"Read":1}}]}},{"timestamp":"2026-11-22T10:49:10Z"}]"#,
        "[]",
    ];
    for text in samples {
        let compact = text.replace("\n           ", "");
        let general: Newest<'_> = serde_json::from_str(&compact).unwrap();
        assert_eq!(machine_stats(&compact), Some(general), "{text}");
    }
    let time = r#""timestamp":"2026-11-22T10:49:11Z""#;
    let left_to_the_general_decoder = [
        format!("[{{{time},{time}}}]"),
        format!("[{{{time},\"cpu\":null}}]"),
        format!("[{{{time},\"memory\":{{\"usage\":1.5}}}}]"),
        format!("[{{{time}}},]"),
        format!("[{{{time}}}] x"),
        "[{}]".to_owned(),
        "null".to_owned(),
    ];
    for text in left_to_the_general_decoder {
        assert_eq!(machine_stats(&text), None, "{text}");
    }
}

/// A container of a made-up answer.
#[derive(Clone, Debug)]
struct Made {
    path: u8,
    alias: Option<u8>,
    pod: bool,
    version: u8,
    usage: u64,
    sampled: bool,
}

fn made() -> impl Strategy<Value = Made> {
    let parts = (0..6_u8, prop::option::of(0..3_u8), any::<bool>(), 0..2_u8, 0..9_u64, 0..8_u8);
    parts.prop_map(|(path, alias, pod, version, usage, sampled)| {
        let pod = pod && alias.is_none();
        Made { path, alias, pod, version, usage, sampled: sampled > 0 }
    })
}

fn answer(containers: &[Made], spaced: bool) -> String {
    let mut text = String::from("{");
    for Made { path, alias, pod, version, usage, sampled } in containers {
        let comma = if text.len() > 1 { "," } else { "" };
        let space = if spaced { " " } else { "" };
        let aliases = alias.map_or("[]".to_owned(), |alias| format!("[\"alias{alias}\"]"));
        let labels = if *pod {
            r#"{"io.kubernetes.pod.name":"p","io.kubernetes.pod.namespace":"n","io.kubernetes.container.name":"c"}"#
        } else {
            r#"{"note":"a \"quoted\" one"}"#
        };
        let samples = if *sampled {
            format!(
                r#"[{{"timestamp":"2026-11-22T10:49:1{usage}Z","memory":{{"usage":{usage}}}}}]"#
            )
        } else {
            "[]".to_owned()
        };
        write!(
            text,
            r#"{comma}"/c{path}":{space}{{"spec":{{"image":"i{version}","aliases":{aliases},"labels":{labels}}},"stats":{samples}}}"#
        )
        .unwrap();
    }
    text + "}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Containers come, go, change places, take and leave each other's names, in answers of the one
    /// form and the other, with broken ones in between.
    #[test]
    fn polls_do_not_depend_on_those_before(
        polls in prop::collection::vec(
            (prop::collection::vec(made(), 0..6), prop::bool::weighted(0.1), prop::option::weighted(0.15, 0..400_usize)),
            1..8,
        ),
    ) {
        let mut warm = Warm::default();
        for (containers, spaced, cut) in polls {
            let whole = answer(&containers, spaced);
            let length = cut.map_or(whole.len(), |cut| cut.min(whole.len()));
            warm.poll(&whole[..length], MACHINE_STATS);
        }
    }

    /// A recorded answer with a piece of it gone, doubled or replaced.
    #[test]
    fn damaged_answers(
        which in 0..3_usize,
        at in any::<prop::sample::Index>(),
        length in 0..40_usize,
        with in prop::sample::select(vec!["", "\"", "{", "]", ",", "0", "null", "\\", "1.5", " "]),
        doubled in any::<bool>(),
    ) {
        let text = [RECORDED[0], RECORDED[1], MACHINE_STATS][which];
        prop_assume!(text.is_ascii());
        let start = at.index(text.len());
        let end = (start + length).min(text.len());
        let again = if doubled { &text[start..end] } else { "" };
        let damaged = format!("{}{with}{again}{}", &text[..start], &text[if doubled { start } else { end }..]);
        let mut warm = Warm::default();
        if which == 2 {
            warm.poll(RECORDED[0], &damaged);
        } else {
            warm.poll(text, MACHINE_STATS);
            warm.poll(&damaged, MACHINE_STATS);
            warm.poll(text, MACHINE_STATS);
        }
    }
}
