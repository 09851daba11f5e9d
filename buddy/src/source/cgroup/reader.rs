//! Reads the machine and all its control groups once, and remembers from poll to poll what does not
//! change: what each group is, its name, and when it started.
//!
//! The start of a group is the time of its directory, which the kernel has no other record of. That
//! time is the one of the first look at the directory since it was last dropped from the kernel's
//! caches, so it may move later while the group lives; the first time seen counts for as long as
//! the directory is the same one, told by its inode.

use std::{convert::Infallible, sync::Arc};

use compact_str::{CompactString, format_compact};
use heapster_shared::{Map, Set, entity::Labels, tag};

use super::{
    Config,
    devices::Devices,
    files::FileReader,
    hierarchy::Hierarchies,
    identity::Identity,
    machine::Machine,
    names::Names,
    recognise::{Kind, recognise},
    values::{Measured, Meter},
    walk::{Found, walk},
};
use crate::source::{Layouts, PollError, Readings, Recorder, Shapes, Subject};

/// Full id of the container.
pub(super) const CONTAINER_ID: &str = "container_id";
/// `docker`, `containerd`, `cri-o` or `podman`.
pub(super) const CONTAINER_RUNTIME: &str = "container_runtime";
/// So much of an id stands for a container without a name, as `docker ps` shows it.
const SHORT_ID: usize = 12;
/// What readings of the machine as a whole are known by; groups go by their paths below it.
const MACHINE: &str = "/";

/// Reads this machine, one poll at a time.
#[derive(Debug)]
pub(super) struct Reader {
    config: Config,
    identity: Identity,
    hierarchies: Hierarchies,
    machine: Machine,
    devices: Devices,
    files: FileReader,
    groups: Groups,
    shapes: Shapes,
}

/// The groups that the poll before found.
#[derive(Debug)]
struct Groups {
    known: Map<CompactString, Group>,
    /// Names in use, so that each is given once.
    used: Set<CompactString>,
    names: Names,
    containers_only: bool,
    poll: u64,
}

#[derive(Debug)]
struct Group {
    inode: u64,
    start_time_ms: i64,
    /// `None` for groups that are not to be shown.
    subject: Option<Arc<Subject>>,
    /// The poll that saw it last.
    seen: u64,
}

impl Reader {
    pub(super) fn new(config: Config, identity: Identity) -> Self {
        Self {
            hierarchies: Hierarchies::default(),
            machine: Machine::new(config.places()),
            devices: Devices::default(),
            files: FileReader::default(),
            groups: Groups {
                known: Map::default(),
                used: Set::default(),
                names: Names::new(config.docker_root(), config.podman_root()),
                containers_only: config.containers_only,
                poll: 0,
            },
            shapes: Shapes::default(),
            identity,
            config,
        }
    }

    /// One reading of the machine and one of each group that has values.
    ///
    /// # Errors
    /// When nothing at all can be read.
    pub(super) fn poll(&mut self, layouts: &Layouts) -> Result<Readings, PollError> {
        let mut shapes = std::mem::take(&mut self.shapes);
        let polled = self.record(Recorder::new(&mut shapes, layouts));
        self.shapes = shapes;
        polled
    }

    fn record(&mut self, mut recorder: Recorder<'_>) -> Result<Readings, PollError> {
        let machine = self.machine.measure(&mut self.files, &mut self.devices);
        if self.hierarchies.trees.is_empty() {
            self.hierarchies = self.config.hierarchies(&mut self.files);
        }
        let (measured, error) = match machine {
            Ok(measured) => (measured, None),
            Err(error) => (Measured { time_ms: super::now_ms(), values: Vec::new() }, Some(error)),
        };
        let subject = || Arc::new(Subject::Node { labels: self.identity.labels.clone() });
        add(&mut recorder, (MACHINE, 0), subject, &measured, self.machine.boot_ms());
        self.read_groups(&mut recorder);
        let readings = recorder.finish();
        match error {
            Some(error) if readings.len() == 1 => Err(self.nothing(&error)),
            _ => Ok(readings),
        }
    }

    fn read_groups(&mut self, recorder: &mut Recorder<'_>) {
        self.groups.start_poll();
        let Self { config, hierarchies, devices, files, groups, .. } = self;
        let mut meter = Meter { trees: &hierarchies.trees, files, devices };
        walk(&hierarchies.trees, config.max_depth, &mut |found| {
            let Some(Group { subject: Some(subject), start_time_ms, inode, .. }) =
                groups.get(found)
            else {
                return;
            };
            let Some(measured) = meter.measure(found) else { return };
            let subject = || Arc::clone(subject);
            add(recorder, (found.path, *inode), subject, &measured, *start_time_ms);
        });
        self.groups.end_poll();
    }

    fn nothing(&self, error: &std::io::Error) -> PollError {
        PollError(format!(
            "cannot read {0}/stat and {0}/meminfo ({error}), and there are no control groups below {1}: \
             name the places with proc=PATH and root=PATH",
            self.config.proc, self.config.root
        ))
    }
}

impl Groups {
    fn start_poll(&mut self) {
        self.poll += 1;
        self.names.start_poll();
    }

    /// Forgets the groups that were not seen.
    fn end_poll(&mut self) {
        let Self { known, used, poll, .. } = self;
        known.retain(|_, group| {
            let stays = group.seen == *poll;
            if let (false, Some(name)) = (stays, group.name()) {
                used.remove(name);
            }
            stays
        });
    }

    /// What is known of a group that was found; the first time, that is worked out.
    fn get(&mut self, found: &Found<'_>) -> Option<&Group> {
        let poll = self.poll;
        let same = self.known.get(found.path).is_some_and(|group| group.inode == found.inode);
        if !same {
            let group = self.meet(found);
            self.known.insert(found.path.into(), group);
        }
        let group = self.known.get_mut(found.path)?;
        group.seen = poll;
        Some(group)
    }

    fn meet(&mut self, found: &Found<'_>) -> Group {
        if let Some(name) = self.known.get(found.path).and_then(Group::name) {
            self.used.remove(name);
        }
        let group = Group {
            inode: found.inode,
            start_time_ms: found.directory_time_ms,
            subject: self.subject(found.path).map(Arc::new),
            seen: self.poll,
        };
        self.used.extend(group.name().cloned());
        group
    }

    fn subject(&mut self, path: &str) -> Option<Subject> {
        let recognised = recognise(path);
        let mut labels: Vec<(&str, CompactString)> = Vec::new();
        labels.extend(recognised.pod_uid.map(|uid| (tag::POD_ID, uid)));
        let Kind::Container { runtime, id } = recognised.kind else {
            let name = self.unused(None, path);
            return (!self.containers_only).then(|| sys_container(name, "", labels));
        };
        let named = self.names.look_up(runtime, id);
        let runtime = named.as_ref().map(|named| named.runtime).or(runtime);
        labels.push((CONTAINER_ID, id.into()));
        labels.extend(runtime.map(|runtime| (CONTAINER_RUNTIME, runtime.name().into())));
        let name = match named {
            Some(named) => {
                if !named.image.is_empty() {
                    labels.push((tag::CONTAINER_BASE_IMAGE, named.image));
                }
                named.name
            }
            None => short_name(runtime.map_or("container", |runtime| runtime.name()), id),
        };
        let name = self.unused(Some(name), path);
        Some(sys_container(name, id, labels))
    }

    /// The name that is wanted, or one made from the path, which no other group has.
    fn unused(&self, wanted: Option<CompactString>, path: &str) -> CompactString {
        let from_path = || CompactString::from(path.trim_start_matches('/'));
        let names = [wanted.unwrap_or_else(from_path), from_path()];
        let free = names.into_iter().find(|name| !self.used.contains(name));
        free.unwrap_or_else(|| path.into())
    }
}

impl Group {
    /// Its name, if it is to be shown.
    fn name(&self) -> Option<&CompactString> {
        match self.subject.as_deref() {
            Some(Subject::SysContainer { name, .. }) => Some(name),
            _ => None,
        }
    }
}

/// Adds a reading of what is known by a path and an inode.
fn add(
    recorder: &mut Recorder<'_>,
    (path, inode): (&str, u64),
    subject: impl FnOnce() -> Arc<Subject>,
    measured: &Measured,
    start_time_ms: i64,
) {
    let Ok(begun) = recorder.begin(path, inode, || Ok::<_, Infallible>((subject(), ())));
    if begun.is_none() {
        return;
    }
    for (field, cell) in &measured.values {
        recorder.field(field, *cell);
    }
    recorder.end(measured.time_ms, start_time_ms);
}

fn short_name(runtime: &str, id: &str) -> CompactString {
    format_compact!("{runtime}-{}", id.get(..SHORT_ID).unwrap_or(id))
}

fn sys_container(name: CompactString, uid: &str, labels: Vec<(&str, CompactString)>) -> Subject {
    Subject::SysContainer { name, uid: uid.into(), labels: Labels::from_iter(labels) }
}
