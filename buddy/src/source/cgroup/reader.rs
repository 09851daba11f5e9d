//! Reads the machine and all its control groups once, and remembers from poll to poll what does not
//! change: what each group is, its name, and when it started.
//!
//! The start of a group is the time of its directory, which the kernel has no other record of. That
//! time is the one of the first look at the directory since it was last dropped from the kernel's
//! caches, so it may move later while the group lives; the first time seen counts for as long as
//! the directory is the same one, told by its inode.

use heapster_shared::{Map, Set, entity::Labels, tag};

use compact_str::{CompactString, format_compact};

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
use crate::source::{PlainReading, PollError, Subject};

/// Full id of the container.
pub(super) const CONTAINER_ID: &str = "container_id";
/// `docker`, `containerd`, `cri-o` or `podman`.
pub(super) const CONTAINER_RUNTIME: &str = "container_runtime";
/// So much of an id stands for a container without a name, as `docker ps` shows it.
const SHORT_ID: usize = 12;

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
    subject: Option<Subject>,
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
            identity,
            config,
        }
    }

    /// One reading of the machine and one of each group that has values.
    ///
    /// # Errors
    /// When nothing at all can be read.
    pub(super) fn poll(&mut self) -> Result<Vec<PlainReading>, PollError> {
        let machine = self.machine.measure(&mut self.files, &mut self.devices);
        if self.hierarchies.trees.is_empty() {
            self.hierarchies = self.config.hierarchies(&mut self.files);
        }
        let mut readings = Vec::with_capacity(self.groups.known.len() + 8);
        let (measured, error) = match machine {
            Ok(measured) => (measured, None),
            Err(error) => (Measured { time_ms: super::now_ms(), values: Vec::new() }, Some(error)),
        };
        readings.push(self.node(measured));
        self.read_groups(&mut readings);
        match error {
            Some(error) if readings.len() == 1 => Err(self.nothing(&error)),
            _ => Ok(readings),
        }
    }

    fn node(&self, measured: Measured) -> PlainReading {
        PlainReading {
            subject: Subject::Node { labels: self.identity.labels.clone() },
            time_ms: measured.time_ms,
            start_time_ms: self.machine.boot_ms(),
            values: measured.values,
        }
    }

    fn read_groups(&mut self, readings: &mut Vec<PlainReading>) {
        self.groups.start_poll();
        let Self { config, hierarchies, devices, files, groups, .. } = self;
        let mut meter = Meter { trees: &hierarchies.trees, files, devices };
        walk(&hierarchies.trees, config.max_depth, &mut |found| {
            let Some(Group { subject: Some(subject), start_time_ms, .. }) = groups.get(found)
            else {
                return;
            };
            let Some(Measured { time_ms, values }) = meter.measure(found) else { return };
            let (subject, start_time_ms) = (subject.clone(), *start_time_ms);
            readings.push(PlainReading { subject, time_ms, start_time_ms, values });
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
            if let (false, Some(Subject::SysContainer { name, .. })) = (stays, &group.subject) {
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
        if let Some(Group { subject: Some(Subject::SysContainer { name, .. }), .. }) =
            self.known.get(found.path)
        {
            self.used.remove(name);
        }
        let subject = self.subject(found.path);
        if let Some(Subject::SysContainer { name, .. }) = &subject {
            self.used.insert(name.clone());
        }
        Group {
            inode: found.inode,
            start_time_ms: found.directory_time_ms,
            subject,
            seen: self.poll,
        }
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

fn short_name(runtime: &str, id: &str) -> CompactString {
    format_compact!("{runtime}-{}", id.get(..SHORT_ID).unwrap_or(id))
}

fn sys_container(name: CompactString, uid: &str, labels: Vec<(&str, CompactString)>) -> Subject {
    Subject::SysContainer { name, uid: uid.into(), labels: Labels::from_iter(labels) }
}
