//! Reads the paths of the model API. Names of containers and metrics may have slashes in them, as
//! they are or as `%2F`.

use percent_encoding::percent_decode_str;

use crate::core::model::{Names, Subject};

/// A path of the model API.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct ModelPath {
    /// The cluster, where the path names it.
    pub(super) cluster: Option<String>,
    /// What is asked.
    pub(super) question: Question,
}

/// What a path asks for.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Question {
    /// The paths that go on from here.
    Index,
    /// Names.
    Names(Names),
    /// Values of a metric.
    Series { subject: Subject, metric: String },
    /// Values of a metric of several pods.
    PodList { namespace: String, pods: Vec<String>, metric: String },
}

/// Reads a path as it came, still encoded.
pub(super) fn parse(raw_path: &str) -> Option<ModelPath> {
    let path = raw_path.strip_prefix("/api/v1/")?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let decoded: Vec<String> = path
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let (cluster, rest) = match segments.as_slice() {
        ["model", rest @ ..] => (None, rest),
        ["clusters", cluster, "model", rest @ ..] => (Some((*cluster).to_owned()), rest),
        _ => return None,
    };
    Some(ModelPath { cluster, question: question(rest)? })
}

fn question(segments: &[&str]) -> Option<Question> {
    match segments {
        [] => Some(Question::Index),
        ["debug", "allkeys"] => Some(Question::Names(Names::AllKeys)),
        ["nodes"] => Some(Question::Names(Names::Nodes)),
        ["namespaces"] => Some(Question::Names(Names::Namespaces)),
        ["metrics", metric @ ..] => of(Subject::Cluster, metric),
        ["nodes", node, rest @ ..] => node_question((*node).to_owned(), rest),
        ["namespaces", namespace, rest @ ..] => namespace_question((*namespace).to_owned(), rest),
        _ => None,
    }
}

fn node_question(node: String, segments: &[&str]) -> Option<Question> {
    match segments {
        ["metrics", metric @ ..] => of(Subject::Node { node }, metric),
        ["freecontainers"] => Some(Question::Names(Names::FreeContainers { node })),
        ["freecontainers", rest @ ..] => {
            let (container, metric) = split_at_metrics(rest)?;
            of(Subject::FreeContainer { node, container }, metric)
        }
        _ => None,
    }
}

fn namespace_question(namespace: String, segments: &[&str]) -> Option<Question> {
    match segments {
        ["metrics", metric @ ..] => of(Subject::Namespace { namespace }, metric),
        ["pods"] => Some(Question::Names(Names::Pods { namespace })),
        ["pods", pod, "metrics", metric @ ..] => {
            of(Subject::Pod { namespace, pod: (*pod).to_owned() }, metric)
        }
        ["pods", pod, "containers"] => {
            Some(Question::Names(Names::Containers { namespace, pod: (*pod).to_owned() }))
        }
        ["pods", pod, "containers", rest @ ..] => {
            let (container, metric) = split_at_metrics(rest)?;
            of(Subject::Container { namespace, pod: (*pod).to_owned(), container }, metric)
        }
        ["pod-list", pods, "metrics", metric @ ..] if !metric.is_empty() => {
            let pods = pods.split(',').map(str::to_owned).collect();
            Some(Question::PodList { namespace, pods, metric: metric.join("/") })
        }
        _ => None,
    }
}

/// The names of a thing's metrics, or with the name of one its values.
fn of(subject: Subject, metric: &[&str]) -> Option<Question> {
    match metric {
        [] => Some(Question::Names(Names::Metrics(subject))),
        segments => Some(Question::Series { subject, metric: segments.join("/") }),
    }
}

/// Splits at the last `metrics`, for a container may be called so too.
fn split_at_metrics<'a, 'b>(segments: &'a [&'b str]) -> Option<(String, &'a [&'b str])> {
    let at = segments.iter().rposition(|segment| *segment == "metrics")?;
    let name = segments[..at].join("/");
    (!name.is_empty()).then(|| (name, &segments[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(path: &str) -> (Subject, String) {
        match parse(path).map(|path| path.question) {
            Some(Question::Series { subject, metric }) => (subject, metric),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn names_with_slashes_are_read_raw_and_encoded() {
        let container = Subject::FreeContainer {
            node: "a".into(),
            container: "/system.slice/docker.service".into(),
        };
        for path in [
            "/api/v1/model/nodes/a/freecontainers/%2Fsystem.slice%2Fdocker.service/metrics/cpu/usage",
            "/api/v1/model/nodes/a/freecontainers//system.slice/docker.service/metrics/cpu%2Fusage/",
        ] {
            assert_eq!(series(path), (container.clone(), "cpu/usage".into()));
        }
        let odd = "/api/v1/model/nodes/a/freecontainers/metrics/metrics/uptime";
        let container = Subject::FreeContainer { node: "a".into(), container: "metrics".into() };
        assert_eq!(series(odd), (container, "uptime".into()));
    }

    #[test]
    fn clusters_may_be_named_and_slashes_end_paths() {
        let path = parse("/api/v1/clusters/lab%20a/model/nodes/").unwrap();
        assert_eq!(path.cluster.as_deref(), Some("lab a"));
        assert_eq!(path.question, Question::Names(Names::Nodes));
        assert_eq!(parse("/api/v1/model").unwrap().question, Question::Index);
        let pods = parse("/api/v1/model/namespaces/n/pod-list/a,b/metrics/memory/usage").unwrap();
        let (namespace, metric) = ("n".into(), "memory/usage".into());
        let wanted = Question::PodList { namespace, pods: vec!["a".into(), "b".into()], metric };
        assert_eq!(pods.question, wanted);
    }

    #[test]
    fn other_paths_are_none_of_it() {
        for path in [
            "/api/v1/model/nothing",
            "/api/v1/model/nodes/a",
            "/api/v1/model/nodes/a/freecontainers/x",
            "/api/v1/model/namespaces/n/pod-list/a/metrics",
            "/api/v1/models",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }
}
