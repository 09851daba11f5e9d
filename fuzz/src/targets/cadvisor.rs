//! The answers of cAdvisor's API, in its versions.

use heapster_buddy::source::cadvisor_bench::AnswerReader;

use super::{Target, joined, nothing_made, readings, text, two};

const MACHINE: &str = include_str!("../../../buddy/testdata/cadvisor/v2.1-machine.json");
const STATS: &str = include_str!("../../../buddy/testdata/cadvisor/v2.1-stats-rec-c1.json");
const MACHINE_STATS: &str = include_str!("../../../buddy/testdata/cadvisor/v2.1-machinestats.json");

pub(super) const TARGETS: &[Target] = &[
    Target { name: "cadvisor", run: newest, recorded: &[], made: newest_answers },
    Target {
        name: "cadvisor-machine",
        run: machine,
        recorded: &[
            "buddy/testdata/cadvisor/v2.1-machine.json",
            "testkit/testdata/cadvisor-0.36-v2.1-machine.json",
        ],
        made: nothing_made,
    },
    Target { name: "cadvisor-v2.0", run: v2_0, recorded: &[], made: answers_of_v2_0 },
    Target {
        name: "cadvisor-v1",
        run: v1,
        recorded: &[
            "buddy/testdata/cadvisor/v1.3-subcontainers.json",
            "testkit/testdata/cadvisor-0.36-v1.3-subcontainers.json",
        ],
        made: nothing_made,
    },
];

fn reader() -> AnswerReader {
    match AnswerReader::new(MACHINE) {
        Ok(reader) => reader,
        Err(error) => panic!("a recorded machine: {error}"),
    }
}

/// The quick way reads what the general decoder reads, and what was remembered changes nothing.
fn newest(input: &[u8]) {
    let (stats, machine_stats) = two(input);
    let (stats, machine_stats) = (text(stats), text(machine_stats));
    let mut reader = reader();
    let general = reader.read_generally(stats.clone(), machine_stats.clone()).ok();
    let quick = reader.read(stats.clone(), machine_stats.clone()).inspect(readings::hold).ok();
    let again = reader.read(stats.clone(), machine_stats.clone()).ok();
    reader.forget();
    // A poll of other containers between leaves nothing behind.
    let _ = reader.read(STATS.to_owned(), MACHINE_STATS.to_owned());
    let after = reader.read(stats, machine_stats).ok();
    assert_eq!(quick.is_some(), general.is_some(), "one of the two ways refuses it");
    assert_eq!((again.is_some(), after.is_some()), (quick.is_some(), quick.is_some()), "again");
    if let (Some(general), Some(quick), Some(again), Some(after)) = (general, quick, again, after) {
        readings::agree(&quick, &general, "quick and general");
        readings::agree(&quick, &again, "anew and again");
        readings::agree(&quick, &after, "anew and after another answer");
    }
}

fn machine(input: &[u8]) {
    let Ok(mut reader) = AnswerReader::new(&text(input)) else { return };
    let read = reader.read(STATS.to_owned(), MACHINE_STATS.to_owned());
    let _ = read.inspect(readings::hold);
}

fn v2_0(input: &[u8]) {
    let (stats, specs) = two(input);
    let _ = reader().read_v2_0(text(stats), text(specs)).inspect(readings::hold);
}

fn v1(input: &[u8]) {
    let _ = reader().read_v1(text(input)).inspect(readings::hold);
}

fn newest_answers() -> Vec<Vec<u8>> {
    let few = include_str!("../../../testkit/testdata/cadvisor-0.36-v2.1-stats.json");
    let machine = include_str!("../../../testkit/testdata/cadvisor-0.36-v2.1-machinestats.json");
    let kubernetes = include_str!("../../../buddy/testdata/cadvisor/kubernetes.json");
    vec![joined(STATS, MACHINE_STATS), joined(few, machine), joined(kubernetes, MACHINE_STATS)]
}

fn answers_of_v2_0() -> Vec<Vec<u8>> {
    let stats = include_str!("../../../buddy/testdata/cadvisor/v2.0-stats.json");
    let specs = include_str!("../../../buddy/testdata/cadvisor/v2.0-spec-rec.json");
    vec![joined(stats, specs)]
}
