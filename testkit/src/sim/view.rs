//! What one host has to say at one instant: the runs of its containers and their samples. The
//! encoders put it into the words of cAdvisor or of a kubelet.

use super::{
    Behaviour, SimConfig,
    identity::{PodIdentity, container_id, container_name, mix, uuid},
    truth::{Life, Load, Thing, Truth, millis},
    workload::{PodState, VARIED_RESTARTS},
};

/// A host at an instant.
pub(super) struct HostView<'a> {
    truth: &'a Truth,
    host: usize,
    behaviour: Behaviour,
    /// The true time.
    now_ms: i64,
}

/// A run of a pod.
pub(super) struct PodView {
    pub(super) identity: PodIdentity,
    /// The uid by which the API server knows it; the kubelet's own, but for static pods.
    pub(super) api_uid: String,
    pub(super) life: Life,
    pub(super) state: PodState,
    pub(super) index: usize,
}

/// A run of a container.
pub(super) struct ContainerView {
    pub(super) thing: Thing,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) life: Life,
    /// How often the pod's kubelet has restarted it.
    pub(super) restarts: u64,
    load: Load,
    phase: i64,
}

/// What was measured at one time. Times are as the host's clock shows them.
pub(super) struct Sample {
    pub(super) time_ms: i64,
    /// How long it has been counting, unevenly, as all counters do.
    pub(super) elapsed_ms: u64,
    pub(super) cpu_ns: u64,
    pub(super) cpu_millicores: u64,
    pub(super) page_faults: u64,
    pub(super) major_page_faults: u64,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) read: u64,
    pub(super) written: u64,
    pub(super) working_set: u64,
    pub(super) cache: u64,
    pub(super) disk_used: u64,
}

impl<'a> HostView<'a> {
    pub(super) fn new(truth: &'a Truth, host: usize, behaviour: Behaviour, now_ms: i64) -> Self {
        Self { truth, host, behaviour, now_ms }
    }

    pub(super) fn config(&self) -> &SimConfig {
        self.truth.config()
    }

    pub(super) fn host(&self) -> usize {
        self.host
    }

    /// The time that the host's clock shows.
    pub(super) fn shown(&self, true_ms: i64) -> i64 {
        true_ms + self.behaviour.clock_offset_ms()
    }

    /// The host as a whole, as if it were a container.
    pub(super) fn machine(&self) -> ContainerView {
        self.container_view(Thing::Node, String::new(), String::new(), self.sampled_ms(Thing::Node))
    }

    /// Where the host answers.
    pub(super) fn address(&self) -> std::net::Ipv4Addr {
        super::cluster::host_address(self.config().addressing, self.host)
    }

    pub(super) fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    /// The pods that run at this instant.
    pub(super) fn pods(&self) -> impl Iterator<Item = PodView> + '_ {
        self.all_pods().filter(|pod| pod.state.is_measured())
    }

    /// The pods of the host, those too that have ended or have not begun.
    pub(super) fn all_pods(&self) -> impl Iterator<Item = PodView> + '_ {
        (0..self.config().pods_per_host).map(|index| self.pod(index))
    }

    /// The pod in a slot at this instant.
    pub(super) fn pod(&self, index: usize) -> PodView {
        let life = self.truth.life(self.host, self.behaviour, Thing::Pod(index), self.now_ms);
        let seed = self.config().seed;
        let mut identity = PodIdentity::new(seed, self.host, index, life.generation);
        let state = PodState::of(self.behaviour, index);
        let api_uid = if state == PodState::Static {
            identity.uid.retain(|digit| digit != '-');
            uuid(mix(&[seed, 8, self.host as u64, index as u64, life.generation]))
        } else {
            identity.uid.clone()
        };
        PodView { identity, api_uid, life, state, index }
    }

    /// The containers of a pod, its sandbox left out.
    pub(super) fn containers<'b>(
        &'b self,
        pod: &'b PodView,
    ) -> impl Iterator<Item = ContainerView> + 'b {
        (0..self.config().containers_per_pod).map(move |container| {
            let thing = Thing::Container { pod: pod.index, container };
            let life = self.truth.life(self.host, self.behaviour, thing, self.now_ms);
            let id = container_id(&pod.identity.uid, container, life.generation);
            let mut view = self.container_view(thing, container_name(container), id, self.now_ms);
            view.restarts = match (self.behaviour, pod.state) {
                (Behaviour::Restarting(_), _) => life.generation,
                (_, PodState::WithInit) if container == 0 => VARIED_RESTARTS,
                _ => 0,
            };
            view
        })
    }

    /// The sandbox of a pod, which has the pod's network and next to nothing else.
    pub(super) fn sandbox(&self, pod: &PodView) -> ContainerView {
        let id = container_id(&pod.identity.uid, usize::MAX, pod.life.generation);
        let mut view = self.container_view(Thing::Pod(pod.index), "POD".into(), id, self.now_ms);
        view.life = pod.life;
        view.load = Load {
            received: view.load.received,
            sent: view.load.sent,
            memory_base: 600 << 10,
            ..Load::default()
        };
        view
    }

    /// The pod's own control group, which holds its containers.
    pub(super) fn pod_cgroup(&self, pod: &PodView) -> ContainerView {
        let mut view =
            self.container_view(Thing::Pod(pod.index), String::new(), String::new(), self.now_ms);
        view.life = pod.life;
        view
    }

    fn container_view(&self, thing: Thing, name: String, id: String, at_ms: i64) -> ContainerView {
        ContainerView {
            thing,
            name,
            id,
            life: self.truth.life(self.host, self.behaviour, thing, at_ms),
            restarts: 0,
            load: self.truth.load(self.host, thing),
            phase: self.truth.phase(self.host, thing),
        }
    }

    /// The newest samples of a container, oldest first; fewer than asked for when it is young.
    pub(super) fn samples(&self, of: &ContainerView, count: usize) -> impl Iterator<Item = Sample> {
        let step = millis(self.config().housekeeping);
        let newest_ms = self.sampled_ms(of.thing).max(of.life.started_ms);
        let repeats = if self.config().housekeeping.is_zero() { 1 } else { count.max(1) };
        let age = newest_ms - of.life.started_ms;
        let available = usize::try_from(age / step).unwrap_or(0) + 1;
        let wanted = i64::try_from(repeats.min(available)).unwrap_or(1);
        (0..wanted).rev().map(move |back| self.sample(of, newest_ms - back * step))
    }

    /// The newest sample of a container.
    pub(super) fn newest(&self, of: &ContainerView) -> Sample {
        self.sample(of, self.sampled_ms(of.thing).max(of.life.started_ms))
    }

    /// The newest sample of a container that was taken at a whole second. A kubelet's JSON has times
    /// to the second only; here they are exact, so that true rates can be told from it.
    pub(super) fn newest_second(&self, of: &ContainerView) -> Sample {
        let sampled_ms = self.sampled_ms(of.thing);
        let second_ms = sampled_ms - self.shown(sampled_ms).rem_euclid(1000);
        self.sample(of, second_ms.max(of.life.started_ms))
    }

    /// When the host last took a sample of a thing: each has its own place in the interval.
    fn sampled_ms(&self, thing: Thing) -> i64 {
        let housekeeping = self.config().housekeeping;
        if housekeeping.is_zero() {
            return self.now_ms;
        }
        let phase = self.truth.phase(self.host, thing);
        self.now_ms - (self.now_ms + phase).rem_euclid(millis(housekeeping))
    }

    fn sample(&self, of: &ContainerView, time_ms: i64) -> Sample {
        // Counters that go back do so by the time of the sample, not by that of the request.
        let life = match self.behaviour {
            Behaviour::CountersBack(_) => {
                self.truth.life(self.host, self.behaviour, of.thing, time_ms)
            }
            _ => of.life,
        };
        let elapsed = self.truth.uneven_ms(time_ms - life.counting_from_ms, of.phase);
        let load = &of.load;
        Sample {
            time_ms: self.shown(time_ms),
            elapsed_ms: elapsed,
            cpu_ns: load.cpu_millicores * 1000 * elapsed,
            cpu_millicores: load.cpu_millicores,
            page_faults: load.page_faults * elapsed / 1000,
            major_page_faults: load.major_page_faults * elapsed / 1000,
            received: load.received * elapsed / 1000,
            sent: load.sent * elapsed / 1000,
            read: load.read * elapsed / 1000,
            written: load.written * elapsed / 1000,
            working_set: self.truth.working_set(load, self.host, of.thing, time_ms),
            cache: load.cache,
            disk_used: load.disk_used,
        }
    }
}
