//! Tests with a kubelet's recorded answer, and with what other kubelets say.

use heapster_shared::Set;

use super::*;
use crate::source::kubelet::testing::{lines, lines_of, try_read};

const RECORDED: &str = include_str!("../../../testdata/kubelet/stats_summary");

/// 2026-11-22T11:18:33Z.
const TIME: i64 = 1_795_346_313_000;

#[test]
fn a_recorded_answer() {
    let all = lines::<Summary>(RECORDED);
    assert_eq!(
        all[..6],
        [
            format!(
                "node @{TIME} since 1795343461000 cpu/usage=4057018431124 memory/usage=3711991808 memory/working_set=2027929600 memory/rss=1104474112 memory/page_faults=294726 memory/major_page_faults=0 network/rx=799040654 network/tx=1753379 network/rx_errors=0 network/tx_errors=0 filesystem/usage[/]=32147333120 filesystem/limit[/]=270553174016 filesystem/available[/]=65425416192 filesystem/inodes[/]=16777216 filesystem/inodes_free[/]=16076472"
            ),
            format!(
                "system pods @{TIME} since 1795344974000 cpu/usage=231800273686 memory/usage=56303616 memory/working_set=56238080 memory/rss=684032 memory/page_faults=0 memory/major_page_faults=0"
            ),
            "pod default/burner-64b4dbc57f-rhb6p 101f5abc-0845-45b3-ba15-921f7cc143e3 @1795346311000 since 1795346283000 network/rx=446 network/tx=682 network/rx_errors=0 network/tx_errors=0".to_owned(),
            "container default/burner-64b4dbc57f-rhb6p/cpu @1795346317000 since 1795346283000 cpu/usage=2820735162 memory/usage=614400 memory/working_set=614400 memory/rss=65536 memory/page_faults=8453 memory/major_page_faults=0 filesystem/usage[/]=28672 filesystem/limit[/]=270553174016 filesystem/available[/]=65425416192 filesystem/inodes[/]=16777216 filesystem/inodes_free[/]=16076472 filesystem/usage[logs]=4096 filesystem/limit[logs]=270553174016 filesystem/available[logs]=65425416192 filesystem/inodes[logs]=16777216 filesystem/inodes_free[logs]=16076472".to_owned(),
            "container default/burner-64b4dbc57f-rhb6p/mem @1795346315000 since 1795346283000 cpu/usage=21074221 memory/usage=25866240 memory/working_set=25866240 memory/rss=110592 memory/page_faults=1083 memory/major_page_faults=0 filesystem/usage[/]=28672 filesystem/limit[/]=270553174016 filesystem/available[/]=65425416192 filesystem/inodes[/]=16777216 filesystem/inodes_free[/]=16076472 filesystem/usage[logs]=8192 filesystem/limit[logs]=270553174016 filesystem/available[logs]=65425416192 filesystem/inodes[logs]=16777216 filesystem/inodes_free[logs]=16076472".to_owned(),
            "pod default/burner-64b4dbc57f-jhsq5 a77e2f91-52f8-4a96-9bcf-d859d0b30aa3 @1795346309000 since 1795345558000 network/rx=3566 network/tx=962 network/rx_errors=0 network/tx_errors=0".to_owned(),
        ]
    );
    assert_eq!(all.len(), 10);
}

/// The kubelet's own rate is beside the rows, never in them.
#[test]
fn a_given_rate_is_passed_on() {
    let readings = try_read::<Summary>(RECORDED).unwrap();
    let given: Vec<_> = readings.iter().map(|(reading, _)| reading.given_cpu_nanocores).collect();
    assert_eq!(
        given[..5],
        [Some(1_966_719_909), Some(168_510_738), None, Some(81_901_448), Some(0)]
    );
}

/// What is unchanged is the same value, so that nobody looks at it again.
#[test]
fn what_is_unchanged_costs_its_numbers_only() {
    let (mut shapes, layouts) = (Shapes::default(), Layouts::default());
    let mut read = || Summary::read("http://h/x", RECORDED, &mut shapes, &layouts).unwrap();
    let (first, second) = (read(), read());
    let addresses = |readings: &Readings| -> Set<_> {
        let both = |reading: &crate::source::Reading| {
            (std::sync::Arc::as_ptr(&reading.subject), std::sync::Arc::as_ptr(&reading.layout))
        };
        readings.iter().map(|(reading, _)| both(reading)).collect()
    };
    assert_eq!(addresses(&first), addresses(&second));
}

fn summary(pods: &str) -> String {
    format!(
        r#"{{"node":{{"nodeName":"n","cpu":{{"time":"2026-11-22T11:18:33Z","usageCoreNanoSeconds":9}}}},"pods":[{pods}]}}"#
    )
}

fn container(name: &str, start: &str, cpu: u64, memory: u64) -> String {
    format!(
        r#"{{"name":"{name}","startTime":"{start}","cpu":{{"time":"2026-11-22T11:18:33Z","usageCoreNanoSeconds":{cpu}}},"memory":{{"time":"2026-11-22T11:18:34Z","workingSetBytes":{memory}}},"rootfs":{{"time":"2026-11-22T11:18:33Z","usedBytes":5}}}}"#
    )
}

fn pod(uid: &str, start: &str, containers: &[String]) -> String {
    let containers = containers.join(",");
    format!(
        r#"{{"podRef":{{"name":"p","namespace":"d","uid":"{uid}"}},"startTime":"{start}","containers":[{containers}]}}"#
    )
}

const EARLIER: &str = "2026-11-22T11:18:00Z";
const LATER: &str = "2026-11-22T11:18:30Z";
const LATER_MS: i64 = 1_795_346_310_000;

/// A pod that is twice there under one name is the one that started last, wherever it stands,
/// unless that one does nothing; and so it is with containers.
#[test]
fn what_is_left_over_from_the_dead_is_left_out() {
    let old = pod("old", EARLIER, &[container("c", EARLIER, 900, 900)]);
    let new = pod("new", LATER, &[container("c", EARLIER, 8, 8), container("c", LATER, 7, 7)]);
    let idle = pod("idle", LATER, &[container("c", LATER, 0, 0)]);
    for (pods, uid, cpu) in [
        (format!("{old},{new}"), "new", 7),
        (format!("{new},{old}"), "new", 7),
        (format!("{old},{idle}"), "old", 900),
    ] {
        let all = lines::<Summary>(&summary(&pods));
        assert_eq!(all.len(), 3, "{all:?}");
        assert!(all[1].starts_with(&format!("pod d/p {uid} ")), "{all:?}");
        assert!(all[2].contains(&format!(" cpu/usage={cpu} ")), "{all:?}");
    }
}

/// Containers that have not begun or have finished use nothing, and have no row; half a sample is
/// taken as far as it goes.
#[test]
fn what_is_zero_was_not_measured() {
    let containers = [
        container("zero", LATER, 0, 0),
        r#"{"name":"bare","startTime":null}"#.to_owned(),
        r#"{"name":"untimed","cpu":{"time":null,"usageCoreNanoSeconds":7}}"#.to_owned(),
        container("memory", LATER, 0, 8),
        container("cpu", LATER, 9, 0),
    ];
    let text = summary(&pod("u", LATER, &containers));
    assert_eq!(
        lines_of::<Summary>(&text, "container"),
        [
            format!(
                "container d/p/memory @1795346314000 since {LATER_MS} memory/working_set=8 filesystem/usage[/]=5"
            ),
            format!("container d/p/cpu @{TIME} since {LATER_MS} cpu/usage=9 filesystem/usage[/]=5"),
        ]
    );
    let pods = r#"{"podRef":{"name":"a","namespace":"d","uid":"u"},"containers":null}"#;
    assert_eq!(lines_of::<Summary>(&summary(pods), "pod").len(), 0, "it has no time");
    assert_eq!(lines::<Summary>(r#"{"node":{"nodeName":"n"},"pods":null}"#).len(), 0);
}

/// A kubelet on Windows says less, and one whose interface is not `eth0` has no sum of its own.
#[test]
fn what_some_kubelets_leave_out() {
    let text = r#"{"node":{"nodeName":"w","systemContainers":null,
        "startTime":"2026-11-22T11:18:00Z",
        "memory":{"time":"2026-11-22T11:18:33Z","workingSetBytes":7,"availableBytes":1},
        "network":{"time":"2026-11-22T11:18:33Z","name":"","interfaces":[
            {"name":"ens5","rxBytes":3,"txBytes":4},{"name":"ens6","rxBytes":30},
            {"name":"veth1","rxBytes":500},{"name":"lo","rxBytes":500}]},
        "fs":{"time":"2026-11-22T11:18:33Z","capacityBytes":9,"usedBytes":18446744073709551615}},
        "pods":[]}"#;
    assert_eq!(
        lines::<Summary>(text),
        [format!(
            "node @{TIME} since 1795346280000 memory/working_set=7 network/rx=33 network/tx=4 filesystem/limit[/]=9"
        )]
    );
}

#[test]
fn volumes_accelerators_and_metrics_of_applications() {
    let text = r#"{"node":{},"pods":[{"podRef":{"name":"p","namespace":"d"},
        "volume":[{"time":"2026-11-22T11:18:33Z","name":"data","usedBytes":1,"capacityBytes":2,
            "availableBytes":3,"inodesFree":4,"inodes":5,"inodesUsed":6}],
        "containers":[{"name":"c","cpu":{"time":"2026-11-22T11:18:33Z","usageCoreNanoSeconds":9},
            "accelerators":[{"make":"nvidia","model":"t4","id":"a","memoryTotal":8,"memoryUsed":7,"dutyCycle":6}],
            "userDefinedMetrics":[{"name":"hits","type":"cumulative","units":"count",
                "time":"2026-11-22T11:18:33Z","labels":{"l":"v"},"value":1.5}]}]}]}"#;
    assert_eq!(
        lines::<Summary>(text),
        [
            format!(
                "pod d/p  @{TIME} since 0 filesystem/usage[Volume:data]=1 filesystem/limit[Volume:data]=2 filesystem/available[Volume:data]=3 filesystem/inodes[Volume:data]=5 filesystem/inodes_free[Volume:data]=4"
            ),
            format!(
                "container d/p/c @{TIME} since 0 cpu/usage=9 accelerator/memory_total[a][nvidia][t4]=8 accelerator/memory_used[a][nvidia][t4]=7 accelerator/duty_cycle[a][nvidia][t4]=6 custom/hits[v]=1.5"
            ),
        ]
    );
}

#[test]
fn an_answer_of_another_form_is_told_with_the_place() {
    let text = summary(r#"{"podRef":{"name":"p","namespace":"d"},"containers":[{"name":7}]}"#);
    let error = try_read::<Summary>(&text).unwrap_err();
    assert!(error.ends_with("at $.pods[0].containers[0].name"), "{error}");
    for text in ["", "<html>", "[]", "{}"] {
        assert!(try_read::<Summary>(text).is_err(), "{text}");
    }
}
