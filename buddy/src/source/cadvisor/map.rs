//! From a container as cAdvisor sees it to a reading: whose it is, and which of its numbers count.
//!
//! What a container is called hangs on those in front of it: an alias is used unless one of them has
//! it. So as long as they are what they were in the poll before, so is its name; behind the first
//! one that came, went or changed, every container with an alias is looked at anew.

use compact_str::CompactString;
use heapster_shared::{
    Set,
    entity::{Labels, Level},
    tag,
};

use super::{
    answer::{ContainerLabels, Spec, Stats, Text},
    facts::Facts,
    known::{Known, NameFrom},
    values::Values,
};
use crate::source::{PodNames, Readings, Recorder, Subject};

/// Digits of the identity of a container.
const CONTAINER_ID_DIGITS: usize = 64;
/// A name of this many hexadecimal digits is an identity, made by a machine.
const HASH_DIGITS: usize = 32;
/// The machine's control group.
pub(super) const MACHINE: &str = "/";

/// A container in an answer of any version.
pub(super) struct Container<'c, 'a> {
    /// Path of its control group; `/` for the machine.
    pub(super) path: &'c str,
    /// Its other names.
    pub(super) aliases: &'c [Text<'a>],
    /// What it is.
    pub(super) spec: &'c Spec<'a>,
}

/// The text of a spec, told from any other.
#[derive(Clone, Copy)]
pub(super) struct SpecText {
    /// Its hash.
    pub(super) fingerprint: u64,
    /// Its bytes.
    pub(super) bytes: u32,
}

/// Makes the readings of one poll.
pub(super) struct Mapper<'m> {
    facts: &'m Facts,
    recorder: Recorder<'m, Known>,
    /// Aliases that are taken, once somebody asked.
    names: Option<Set<CompactString>>,
    pods: PodNames,
}

impl<'m> Mapper<'m> {
    /// A mapper to a recorder of a poll.
    pub(super) fn new(facts: &'m Facts, recorder: Recorder<'m, Known>) -> Self {
        Self { facts, recorder, names: None, pods: PodNames::default() }
    }

    /// The readings, the node's among them if the machine was added.
    pub(super) fn finish(self) -> Readings {
        self.recorder.finish()
    }

    /// Adds the machine as a whole.
    pub(super) fn add_machine(&mut self, spec: &Spec<'_>, stats: &Stats<'_>) {
        let host_id = self.facts.host_id.as_str();
        let fingerprint = self.recorder.fingerprint(&(host_id, spec));
        let make = || {
            let labels = (!host_id.is_empty()).then_some((tag::HOST_ID, host_id));
            let subject = Subject::Node { labels: labels.into_iter().collect() };
            Ok::<_, std::convert::Infallible>((
                subject,
                Known::new(spec, Level::Node, NameFrom::Itself),
            ))
        };
        let Ok(known) = self.recorder.begin(MACHINE, fingerprint, make);
        self.record(known, stats);
    }

    /// Adds a container, or the machine where the path is `/`.
    pub(super) fn add(&mut self, container: &Container<'_, '_>, stats: &Stats<'_>) {
        if container.path == MACHINE {
            return self.add_machine(container.spec, stats);
        }
        let fingerprint = self.recorder.fingerprint(&(container.aliases, container.spec));
        let same = self.is_same(container.path, |known, _| known == fingerprint);
        if same {
            return self.add_same(container.path, stats);
        }
        self.add_anew(container, SpecText { fingerprint, bytes: 0 }, stats);
    }

    /// Adds a container of which the numbers alone are new, as [`Mapper::same_spec`] said.
    pub(super) fn add_same(&mut self, path: &str, stats: &Stats<'_>) {
        let known = self.recorder.begin_same(path);
        self.record(known, stats);
    }

    /// Adds a container whose spec is new.
    pub(super) fn add_anew(
        &mut self,
        container: &Container<'_, '_>,
        text: SpecText,
        stats: &Stats<'_>,
    ) {
        // What is left out takes no name either.
        if self.recorder.has(container.path) {
            return;
        }
        let (subject, name) = self.subject(container);
        let known = Known::new(container.spec, subject.level(), name);
        let known = Known { spec_bytes: text.bytes, ..known };
        let known = self.recorder.begin_anew(container.path, text.fingerprint, subject, known);
        self.record(known, stats);
    }

    /// The number of bytes that the spec of a container takes at the beginning of a text, where it
    /// is that of the poll before, byte for byte, and nothing else could have changed.
    pub(super) fn same_spec(&self, path: &str, text: &[u8]) -> Option<usize> {
        let mut bytes = 0;
        let same = self.is_same(path, |fingerprint, known| {
            bytes = known.spec_bytes as usize;
            let spec = text.get(..bytes).filter(|spec| !spec.is_empty());
            spec.is_some_and(|spec| self.recorder.fingerprint(spec) == fingerprint)
        });
        same.then_some(bytes)
    }

    /// What [`Mapper::same_spec`] will compare.
    pub(super) fn spec_text(&self, spec: &[u8]) -> SpecText {
        let bytes = u32::try_from(spec.len()).unwrap_or(0);
        SpecText { fingerprint: self.recorder.fingerprint(spec), bytes }
    }

    /// Whether what is known of a container still holds, if its spec does.
    fn is_same(&self, path: &str, same_spec: impl FnOnce(u64, &Known) -> bool) -> bool {
        self.recorder.recall(path).is_some_and(|recalled| {
            (recalled.settled || recalled.note.name == NameFrom::Itself)
                && same_spec(recalled.fingerprint, recalled.note)
        })
    }

    /// Records what is measured at the level of the reading that has begun.
    fn record(&mut self, known: Option<Known>, stats: &Stats<'_>) {
        let Some(known) = known else { return };
        let mut start_time_ms = known.start_time_ms;
        let mut values = Values { facts: self.facts, known: &known, recorder: &mut self.recorder };
        match known.level {
            Level::Node => {
                values.node(stats);
                if start_time_ms <= 0 {
                    start_time_ms = self.facts.start_time_ms;
                }
            }
            Level::PodContainer => values.pod_container(stats),
            Level::SysContainer => values.sys_container(stats),
            // The rest of a pod is the sum of its containers.
            _ => values.network(stats),
        }
        self.recorder.end(stats.timestamp.0, start_time_ms);
    }

    fn subject(&mut self, container: &Container<'_, '_>) -> (Subject, NameFrom) {
        let subject = match container.spec.labels.as_ref().and_then(kubernetes) {
            Some((pod, None)) => {
                Subject::Pod { pod: self.pods.share(pod), labels: Labels::default() }
            }
            Some((pod, Some(name))) => Subject::PodContainer {
                pod: self.pods.share(pod),
                name: name.into(),
                uid: container_id(container).into(),
                labels: image_label(container.spec),
            },
            None => {
                let (name, from) = self.system_name(container);
                let uid = container_id(container).into();
                let labels = image_label(container.spec);
                return (Subject::SysContainer { name, uid, labels }, from);
            }
        };
        (subject, NameFrom::Itself)
    }

    /// The name that people gave it, unless another container has it; else its path.
    fn system_name(&mut self, container: &Container<'_, '_>) -> (CompactString, NameFrom) {
        let path = container.path.strip_prefix('/').unwrap_or(container.path);
        let alias = container.aliases.iter().find(|alias| !alias.is_empty() && !is_hash(alias));
        let Some(alias) = alias else { return (path.into(), NameFrom::Itself) };
        let name = CompactString::from(&**alias);
        let recorder = &self.recorder;
        let taken = self.names.get_or_insert_with(|| taken_aliases(recorder));
        match taken.insert(name.clone()) {
            true => (name, NameFrom::Alias),
            false => (path.into(), NameFrom::PathForAlias),
        }
    }
}

/// The aliases that containers of this poll have.
fn taken_aliases(recorder: &Recorder<'_, Known>) -> Set<CompactString> {
    let by_alias = recorder.so_far().filter(|(_, known)| known.name == NameFrom::Alias);
    let names = by_alias.filter_map(|(subject, _)| match subject {
        Subject::SysContainer { name, .. } => Some(name.clone()),
        _ => None,
    });
    names.collect()
}

/// The pod (its namespace, name and uid), and the container within it unless it is the one that holds the pod's network.
fn kubernetes<'c>(labels: &'c ContainerLabels<'_>) -> Option<([&'c str; 3], Option<&'c str>)> {
    let text = |label: &'c Option<Text<'_>>| label.as_deref().filter(|text| !text.is_empty());
    let uid = text(&labels.pod_uid).unwrap_or_default();
    let pod = [text(&labels.pod_namespace)?, text(&labels.pod_name)?, uid];
    let sandbox = text(&labels.docker_type) == Some("podsandbox")
        || text(&labels.containerd_kind) == Some("sandbox");
    match text(&labels.container_name) {
        Some("POD" | "pause") => Some((pod, None)),
        _ if sandbox => Some((pod, None)),
        Some(name) => Some((pod, Some(name))),
        None => None,
    }
}

/// The identity of this run of a container: an alias, or the end of its path, as in
/// `/system.slice/docker-IDENTITY.scope`; empty when it has none.
fn container_id<'c>(container: &Container<'c, '_>) -> &'c str {
    let is_id = |text: &str| text.len() == CONTAINER_ID_DIGITS && is_hash(text);
    if let Some(alias) = container.aliases.iter().find(|alias| is_id(alias)) {
        return alias;
    }
    let last = container.path.rsplit('/').next().unwrap_or_default();
    let last = last.strip_suffix(".scope").unwrap_or(last);
    let last = last.rsplit('-').next().unwrap_or(last);
    if is_id(last) { last } else { "" }
}

fn is_hash(text: &str) -> bool {
    text.len() >= HASH_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn image_label(spec: &Spec<'_>) -> Labels {
    let image = spec.image.as_deref().filter(|image| !image.is_empty());
    image.map(|image| (tag::CONTAINER_BASE_IMAGE, image)).into_iter().collect()
}
