//! Tests with a kubelet's recorded answer, and with what other kubelets say.

use super::*;
use crate::source::kubelet::testing::{lines, lines_of, try_read};

const RECORDED: &str = include_str!("../../../testdata/kubelet/metrics_cadvisor");

#[test]
fn a_recorded_answer() {
    let all = lines::<KubeletCadvisor>(RECORDED);
    let count = |start: &str| all.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((count("node"), count("system"), count("pod"), count("container")), (1, 1, 3, 5));
    let burner = "container default/burner-64b4dbc57f-rhb6p/cpu";
    assert_eq!(
        lines_of::<KubeletCadvisor>(RECORDED, burner),
        [
            "container default/burner-64b4dbc57f-rhb6p/cpu 116241f2docker.io/library/busybox:bench @1795346317288 since 1795346283000 cpu/usage=2820735162 memory/usage=614400 memory/working_set=614400 memory/rss=65536 memory/cache=12288 memory/page_faults=8453 memory/major_page_faults=0 cpu/periods=336 cpu/throttled_periods=109 cpu/throttled_time=4513839586"
        ]
    );
    assert_eq!(
        lines_of::<KubeletCadvisor>(RECORDED, "pod default/burner-64b4dbc57f-rhb6p"),
        [
            "pod default/burner-64b4dbc57f-rhb6p 101f5abc-0845-45b3-ba15-921f7cc143e3 @1795346311370 since 1795346283000 network/rx=446 network/tx=682 network/rx_errors=0 network/tx_errors=0"
        ]
    );
    let node = &lines_of::<KubeletCadvisor>(RECORDED, "node")[0];
    for part in [
        "node @1795346313476 since ",
        " cpu/usage=4057018431124 ",
        " memory/working_set=2027929600 ",
        " cpu/node_capacity=2000 ",
        " memory/node_capacity=25276502016 ",
        " filesystem/usage[/dev/vda]=32147333120 ",
    ] {
        assert!(node.contains(part), "{part} in {node}");
    }
    assert!(!node.contains("overlay") && !node.contains("/var/lib"), "{node}");
}

/// The numbers that both sources give of one instant are the same, and the summary's time is that
/// instant cut off to the second: what docs/sources.md says of rates follows from that.
#[test]
fn it_agrees_with_the_summary() {
    let summary = include_str!("../../../testdata/kubelet/stats_summary");
    let mine = lines::<KubeletCadvisor>(RECORDED);
    let readings = try_read::<crate::source::summary::Summary>(summary).unwrap();
    let mut compared = 0;
    for reading in readings.to_plain() {
        let crate::source::Subject::PodContainer { pod, name, .. } = &reading.subject else {
            continue;
        };
        let start = format!("container {}/{}/{name} ", pod.namespace, pod.name);
        let line = mine.iter().find(|line| line.starts_with(&start)).unwrap();
        let (_, rest) = line.split_once('@').unwrap();
        let time_ms: i64 = rest.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(reading.time_ms, time_ms / 1000 * 1000, "{line}");
        for (field, cell) in reading.values.iter().take(6) {
            let part = format!(" {}={} ", field.metric.name(), cell.as_int().unwrap());
            assert!(format!("{line} ").contains(&part), "{part} in {line}");
            compared += 1;
        }
    }
    assert_eq!(compared, 30);
}

/// Labels as they are in all lines of a container.
fn labels(id: &str, container: &str) -> String {
    format!(
        "container=\"{container}\",id=\"{id}\",image=\"i\",name=\"n\",namespace=\"d\",pod=\"p\""
    )
}

fn usage(id: &str, container: &str, cpu: u32, memory: u32, start: u32) -> String {
    let labels = labels(id, container);
    format!(
        "container_cpu_usage_seconds_total{{cpu=\"total\",{labels}}} {cpu} 1000\n\
         container_memory_working_set_bytes{{{labels}}} {memory} 1000\n\
         container_start_time_seconds{{{labels}}} {start}\n"
    )
}

/// Of two runs of a container and of two pods of one name the living one counts, whichever comes
/// first.
#[test]
fn what_is_left_over_from_the_dead_is_left_out() {
    let (dead, new, idle) =
        (usage("/a", "c", 900, 900, 1), usage("/b", "c", 7, 7, 2), usage("/i", "c", 0, 0, 3));
    for (text, cpu) in
        [(format!("{dead}{new}"), 7), (format!("{new}{dead}"), 7), (format!("{dead}{idle}"), 900)]
    {
        let all = lines::<KubeletCadvisor>(&text);
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].contains(&format!("cpu/usage={cpu}000000000 ")), "{all:?}");
    }
    let network = |id: &str, bytes: u32| {
        let labels = labels(id, "POD");
        let line = format!("container_network_receive_bytes_total{{interface=\"eth0\",{labels}}}");
        format!("{line} {bytes} 1000\n")
    };
    let pod = |id, bytes, start| format!("{}{}", usage(id, "POD", 1, 1, start), network(id, bytes));
    let whole = usage("/p", "", 9, 9, 9);
    let text = format!("{whole}{}{}", pod("/a", 900, 1), pod("/b", 7, 2));
    assert_eq!(lines::<KubeletCadvisor>(&text), ["pod d/p  @1000 since 2000 network/rx=7"]);
}

/// Sums over processors and interfaces where there is no total, devices each by itself, bytes
/// before sectors.
#[test]
fn series_of_one_container() {
    let labels = labels("/x", "c");
    let text = format!(
        "container_cpu_usage_seconds_total{{cpu=\"cpu00\",{labels}}} 1.5 1000\n\
         container_cpu_usage_seconds_total{{cpu=\"cpu01\",{labels}}} 2 1000\n\
         container_fs_reads_bytes_total{{device=\"/dev/sda\",{labels}}} 10 1000\n\
         container_fs_reads_bytes_total{{device=\"/dev/sdb\",{labels}}} 20 1000\n\
         container_fs_reads_bytes_total{{device=\"\",{labels}}} 30 1000\n\
         container_fs_sector_reads_total{{device=\"/dev/sda1\",{labels}}} 99 1000\n\
         container_fs_writes_bytes_total{{device=\"/dev/sda\",{labels}}} 40 1000\n\
         container_memory_failures_total{{failure_type=\"pgfault\",{labels},scope=\"container\"}} 1 1000\n\
         container_memory_failures_total{{failure_type=\"pgfault\",{labels},scope=\"hierarchy\"}} 2 1000\n\
         container_memory_failures_total{{failure_type=\"pgmajfault\",{labels},scope=\"container\"}} 3 1000\n\
         container_memory_rss{{{labels}}} NaN 1000\n\
         container_memory_usage_bytes{{{labels}}} 5e+06 1000\n"
    );
    assert_eq!(
        lines::<KubeletCadvisor>(&text),
        [
            "container d/p/c i @1000 since 0 cpu/usage=3500000000 memory/usage=5000000 memory/page_faults=2 memory/major_page_faults=3 disk/io_read_bytes[/dev/sda]=10 disk/io_write_bytes[/dev/sda]=40 disk/io_read_bytes[/dev/sdb]=20"
        ]
    );
}

/// Kubelets up to 1.24 tell of GPUs, each by itself.
#[test]
fn accelerators_of_a_container() {
    let labels = labels("/x", "c");
    let gpu = |metric: &str, id: &str, value: u64| {
        format!(
            "container_accelerator_{metric}{{acc_id=\"{id}\",{labels},make=\"nvidia\",model=\"t4\"}} {value} 1000\n"
        )
    };
    let text = [
        gpu("duty_cycle", "GPU-1", 42),
        gpu("duty_cycle", "GPU-2", 0),
        gpu("memory_total_bytes", "GPU-1", 17_179_869_184),
        gpu("memory_used_bytes", "GPU-1", 7),
        format!("container_memory_usage_bytes{{{labels}}} 5 1000\n"),
    ];
    assert_eq!(
        lines::<KubeletCadvisor>(&text.concat()),
        [
            "container d/p/c i @1000 since 0 memory/usage=5 accelerator/memory_total[GPU-1][nvidia][t4]=17179869184 accelerator/memory_used[GPU-1][nvidia][t4]=7 accelerator/duty_cycle[GPU-1][nvidia][t4]=42 accelerator/duty_cycle[GPU-2][nvidia][t4]=0"
        ]
    );
}

#[test]
fn what_is_of_no_use_is_an_error() {
    let labels = labels("/x", "c");
    let cpu = "container_cpu_usage_seconds_total";
    for (text, expected) in [
        ("<html>\n".to_owned(), "since 1.17"),
        (format!("{cpu}{{{labels}}} 5\n"), "no sample with a time"),
        (format!("# x\n{cpu}{{{labels} 5\n"), "line 2: container_cpu"),
        (format!("{cpu}{{id=x}} 5 6\n"), "line 1: container_cpu"),
    ] {
        let error = try_read::<KubeletCadvisor>(&text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let text = format!("container_tasks_state{{id=x}} five\n{cpu}{{{labels}}} 5 6\n");
    assert_eq!(lines::<KubeletCadvisor>(&text).len(), 1, "what is not used is not looked at");
}

/// One line without a namespace, of a host that says strange things, would end the stream of all.
#[test]
fn what_has_no_namespace_is_left_out() {
    let nameless = r#"id="/x",namespace="",pod="p",container="c""#;
    let good = labels("/x", "c");
    let text = [nameless, &good]
        .map(|labels| format!("container_cpu_usage_seconds_total{{{labels}}} 5 1000\n"));
    assert_eq!(lines::<KubeletCadvisor>(&text.concat()).len(), 1);
    let pod = r#"id="/x",namespace="",pod="p",container="",interface="eth0""#;
    let text = format!("{}container_network_receive_bytes_total{{{pod}}} 5 1000\n", text[1]);
    assert_eq!(lines::<KubeletCadvisor>(&text).len(), 1);
}
