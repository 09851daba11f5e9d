//! Tests with a kubelet's recorded answer, and with what other kubelets say.

use super::*;
use crate::source::kubelet::testing::{lines, try_read};

const RECORDED: &str = include_str!("../../../testdata/kubelet/metrics_resource");

#[test]
fn a_recorded_answer() {
    assert_eq!(
        lines::<Resource>(RECORDED),
        [
            "node @1795346313476 since 0 cpu/usage=4057018431124 memory/working_set=2027929600",
            "container default/burner-64b4dbc57f-jhsq5/cpu @1795346306447 since 0 cpu/usage=59892417740 memory/working_set=946176",
            "container default/burner-64b4dbc57f-rhb6p/cpu @1795346317288 since 0 cpu/usage=2820735162 memory/working_set=614400",
            "container kube-system/hostnet/main @1795346297696 since 0 cpu/usage=11368440 memory/working_set=364544",
            "container default/burner-64b4dbc57f-jhsq5/mem @1795346293708 since 0 cpu/usage=26993701 memory/working_set=25591808",
            "container default/burner-64b4dbc57f-rhb6p/mem @1795346315617 since 0 cpu/usage=21074221 memory/working_set=25866240",
        ]
    );
}

/// Newer kubelets say when a container was started, and call their error otherwise.
#[test]
fn what_newer_kubelets_say() {
    let text = "container_start_time_seconds{container=\"c\",namespace=\"d\",pod=\"p\"} 1.6e+09 1700\n\
                container_cpu_usage_seconds_total{container=\"c\",namespace=\"d\",pod=\"p\"} 0 1800\n\
                container_memory_working_set_bytes{container=\"c\",namespace=\"d\",pod=\"p\"} 5 1900\n\
                container_memory_working_set_bytes{container=\"z\",namespace=\"d\",pod=\"p\"} 0 1900\n\
                container_swap_usage_bytes{container=\"c\",namespace=\"d\",pod=\"p\"} nonsense\n\
                resource_scrape_error 0\n";
    assert_eq!(
        lines::<Resource>(text),
        ["container d/p/c @1900 since 1600000000000 memory/working_set=5"]
    );
}

#[test]
fn what_is_of_no_use_is_an_error() {
    let cpu = "container_cpu_usage_seconds_total";
    for (text, expected) in [
        ("scrape_error 1\n".to_owned(), "scrape_error"),
        ("resource_scrape_error 1\n".to_owned(), "its log says why"),
        ("<html>\n".to_owned(), "is that a kubelet?"),
        ("node_cpu_usage_seconds_total 5\n".to_owned(), "no sample with a time"),
        ("node_cpu_usage_seconds_total five\n".to_owned(), "line 1: node_cpu"),
        (format!("\n{cpu}{{container=\"c\"}} 5 6\n"), "line 2: container_cpu"),
    ] {
        let error = try_read::<Resource>(&text).unwrap_err();
        assert!(error.starts_with("http://h/x: ") && error.contains(expected), "{error}");
    }
}
