//! Tests of the assignment: whole stories, on a clock of their own.

use heapster_shared::host::Host;

use super::*;
use crate::core::inventory::HostsUpdate;

/// A cluster whose buddies do as they are told, with a clock.
struct Bench {
    assigner: Assigner,
    inventory: Inventory,
    now_ms: i64,
    silent_since: BTreeMap<String, i64>,
    orders: Vec<Order>,
}

const START: i64 = 1_795_345_200_000;

impl Bench {
    fn new() -> Self {
        Self {
            assigner: Assigner::new(Resolution::DEFAULT, START),
            inventory: Inventory::new(1_000),
            now_ms: START,
            silent_since: BTreeMap::new(),
            orders: Vec::new(),
        }
    }

    /// Connects: `d` discovers, `p` polls, `s` stands by, by the letters of its name before a dash.
    fn connect(&mut self, name: &str, in_force: Option<u64>) {
        self.start(name, "1", in_force);
    }

    fn start(&mut self, name: &str, instance: &str, in_force: Option<u64>) {
        let roles = name.split('-').next().unwrap();
        let arrival = Arrival {
            instance: instance.to_owned(),
            polls: roles.contains('p'),
            discovers: roles.contains('d'),
            standby: roles.contains('s'),
            in_force,
        };
        self.inventory.connect(name, arrival.discovers);
        self.assigner.connect(name, arrival, self.now_ms);
    }

    fn list(&mut self, name: &str, hosts: impl IntoIterator<Item = usize>) {
        let hosts = hosts.into_iter().map(|number| Host::named(&format!("h{number:03}"))).collect();
        let list = HostsUpdate::Snapshot { version: 1, hosts, last: true };
        self.inventory.apply(name, list).unwrap();
    }

    fn plan(&mut self) {
        let heard = |name: &str| self.silent_since.get(name).copied().unwrap_or(self.now_ms);
        self.orders = self.assigner.plan(&self.inventory, heard, self.now_ms);
    }

    fn is_due(&self) -> bool {
        let heard = |name: &str| self.silent_since.get(name).copied().unwrap_or(self.now_ms);
        self.assigner.is_due(heard, self.now_ms)
    }

    /// Plans, and lets buddies accept what they are told, until there is nothing more to say.
    fn settle(&mut self) {
        for _ in 0..10 {
            self.plan();
            if self.orders.is_empty() {
                return;
            }
            self.accept();
        }
        panic!("no end: {:?}", self.orders);
    }

    /// Every buddy accepts what it was told.
    fn accept(&mut self) {
        for order in std::mem::take(&mut self.orders) {
            assert!(self.assigner.answer(&order.buddy, order.version, None));
        }
    }

    fn order(&self, name: &str) -> Option<&Order> {
        self.orders.iter().find(|order| &*order.buddy == name)
    }

    /// How many hosts a buddy is told to poll; `None` where it is told nothing.
    fn told(&self, name: &str) -> Option<usize> {
        match &self.order(name)?.task {
            Task::Own => Some(usize::MAX),
            Task::Hosts(hosts) => Some(hosts.len()),
        }
    }

    /// Who polls a host, by what buddies have accepted.
    fn pollers(&self, host: &str) -> Vec<String> {
        let polling = self.assigner.buddies.keys();
        let polling = polling.filter(|name| self.assigner.polls(name, host, &self.inventory));
        polling.map(ToString::to_string).collect()
    }

    fn load(&self, name: &str) -> usize {
        self.assigner.statuses().get(name).map_or(0, |status| status.hosts)
    }
}

/// The plain case costs nothing: no order, whatever is listed, and the hosts have their buddy.
#[test]
fn a_buddy_that_polls_what_it_finds_is_told_nothing() {
    let mut bench = Bench::new();
    bench.connect("dp", Some(0));
    bench.plan();
    assert!(!bench.assigner.is_planned(), "no list has come");
    for hosts in [0..5, 2..9] {
        bench.list("dp", hosts);
        bench.plan();
        assert_eq!(bench.orders, []);
    }
    assert_eq!(bench.assigner.owner("h008"), Some("dp"));
    assert_eq!(bench.load("dp"), 7);
}

/// Two of the same kind with lists of their own, as on each node of a cluster, stay with them.
#[test]
fn buddies_with_lists_of_their_own_keep_them() {
    let mut bench = Bench::new();
    for (name, hosts) in [("dp-1", 0..5), ("dp-2", 5..9)] {
        bench.connect(name, Some(0));
        bench.list(name, hosts);
    }
    bench.plan();
    assert_eq!(bench.orders, []);
    assert_eq!((bench.load("dp-1"), bench.load("dp-2")), (5, 4));
}

/// A second polling buddy takes its share, and only what it has accepted is taken from the first;
/// when it goes the first has all again, and polls what it finds as in the beginning.
#[test]
fn hosts_change_hands_and_come_back() {
    let mut bench = Bench::new();
    bench.connect("dp", Some(0));
    bench.list("dp", 0..20);
    bench.settle();
    bench.connect("p", Some(0));
    bench.plan();
    assert_eq!(bench.told("dp"), None, "it keeps all until the other has accepted");
    let taken = bench.told("p").unwrap();
    assert!((1..=13).contains(&taken), "{taken}");
    bench.accept();
    bench.plan();
    assert_eq!(bench.told("dp"), Some(20 - taken));
    assert_eq!(bench.told("p"), None);
    bench.accept();
    bench.settle();
    assert!((0..20).all(|host| bench.pollers(&format!("h{host:03}")).len() == 1));

    bench.assigner.disconnect("p", true, bench.now_ms);
    bench.plan();
    assert_eq!(bench.told("dp"), Some(usize::MAX), "its own: {:?}", bench.orders);
}

/// Three that poll and one that discovers. One is cut off: its hosts wait for it, and then the
/// others take them, and no other host moves. When it comes back it still polls them, and gets its
/// share back.
#[test]
fn a_buddy_that_is_cut_off_is_taken_over() {
    let mut bench = Bench::new();
    bench.connect("d", None);
    ["p-1", "p-2", "p-3"].iter().for_each(|name| bench.connect(name, Some(0)));
    bench.list("d", 0..300);
    bench.settle();
    let loads = ["p-1", "p-2", "p-3"].map(|name| bench.load(name));
    assert_eq!(loads.iter().sum::<usize>(), 300);
    let in_force = bench.assigner.statuses()["p-2"].acknowledged_version;

    bench.assigner.disconnect("p-2", false, bench.now_ms);
    bench.plan();
    assert_eq!(bench.orders, [], "it may come back at once");
    bench.now_ms += ms(bench.assigner.grace());
    assert!(ms(bench.assigner.grace()) < 15_000 && bench.is_due());
    bench.plan();
    assert_eq!(bench.told("p-2"), None);
    let told = bench.told("p-1").unwrap() + bench.told("p-3").unwrap();
    assert_eq!(told, 300);
    bench.accept();
    bench.settle();
    assert_eq!(bench.load("p-1") + bench.load("p-3"), 300);

    bench.connect("p-2", Some(in_force));
    bench.plan();
    let given = bench.load("p-2");
    assert!((1..=100).contains(&given), "{given}");
    bench.accept();
    bench.settle();
    assert!((0..300).all(|host| bench.pollers(&format!("h{host:03}")).len() == 1));
}

/// A connection that is cut for a moment moves nothing, also where the answer to the last order was
/// lost with it.
#[test]
fn a_mere_reconnect_moves_nothing() {
    let mut bench = Bench::new();
    bench.connect("d", None);
    bench.connect("p", Some(0));
    bench.list("d", 0..10);
    bench.plan();
    let version = bench.order("p").unwrap().version;
    bench.assigner.disconnect("p", false, bench.now_ms);
    bench.now_ms += 1_000;
    bench.connect("p", Some(version));
    bench.plan();
    assert_eq!(bench.orders, []);
    assert_eq!(bench.assigner.statuses()["p"].acknowledged_version, version);
    bench.assigner.disconnect("p", false, bench.now_ms);
    bench.connect("p", Some(0));
    bench.plan();
    assert_eq!(bench.told("p"), Some(10), "it never had it");
}

/// A buddy that is connected and has missed a heartbeat gives way as one that is cut off; when it is
/// heard again it gets its share back.
#[test]
fn a_silent_buddy_gives_way() {
    let mut bench = Bench::new();
    bench.connect("d", None);
    ["p-1", "p-2"].iter().for_each(|name| bench.connect(name, Some(0)));
    bench.list("d", 0..40);
    bench.settle();
    bench.silent_since.insert("p-1".to_owned(), bench.now_ms);
    bench.now_ms += 17_000;
    assert!(!bench.is_due());
    bench.now_ms += 1_000;
    assert!(bench.is_due());
    bench.plan();
    assert_eq!((bench.told("p-1"), bench.told("p-2")), (None, Some(40)));
    bench.accept();
    bench.plan();
    assert_eq!(bench.told("p-1"), Some(0), "only now");
    bench.accept();
    bench.silent_since.clear();
    bench.settle();
    assert!(bench.load("p-1") > 0 && bench.load("p-2") > 0);
}

/// A master that was suspended has heard of nobody: nobody is told to stop, and when they are heard
/// again they go on.
#[test]
fn when_all_are_silent_all_go_on() {
    let mut bench = Bench::new();
    bench.connect("d", None);
    ["p-1", "p-2"].iter().for_each(|name| bench.connect(name, Some(0)));
    bench.list("d", 0..40);
    bench.settle();
    let then = bench.now_ms;
    bench.silent_since = ["p-1", "p-2"].map(|name| (name.to_owned(), then)).into();
    bench.now_ms += 600_000;
    bench.plan();
    assert_eq!(bench.orders, []);
    assert_eq!(bench.assigner.owner("h000"), None);
    assert_eq!(bench.pollers("h000").len(), 1);
    bench.silent_since.clear();
    bench.settle();
    assert!((0..40).all(|host| bench.pollers(&format!("h{host:03}")).len() == 1));
}

/// What was refused is not sent again as it is; the buddy that had the hosts keeps them.
#[test]
fn a_refusal_leaves_everything_as_it_was() {
    let mut bench = Bench::new();
    bench.connect("d", None);
    bench.connect("p-1", Some(0));
    bench.list("d", 0..10);
    bench.settle();
    bench.connect("p-2", Some(0));
    bench.plan();
    let version = bench.order("p-2").unwrap().version;
    assert!(bench.assigner.answer("p-2", version, Some("no source".into())));
    assert!(!bench.assigner.answer("p-2", version, None), "an order is answered once");
    bench.plan();
    assert_eq!(bench.orders, []);
    assert!((0..10).all(|host| bench.pollers(&format!("h{host:03}")) == ["p-1"]));
    let status = bench.assigner.statuses()["p-2"].clone();
    assert_eq!((status.refused_version, &*status.refusal), (version, "no source"));
    bench.list("d", 0..30);
    bench.settle();
    assert!(bench.load("p-2") > 0, "another list is another question");
    assert_eq!(bench.pollers("h029").len(), 1);
}

/// Buddies that come back to a master that was started again go on with what they had until the
/// others had time to come back too; without such a past nobody waits.
#[test]
fn a_new_master_waits_for_those_that_poll() {
    let mut bench = Bench::new();
    bench.connect("d", None);
    bench.list("d", 0..30);
    bench.connect("p-1", Some(77));
    bench.plan();
    assert_eq!(bench.orders, []);
    assert!(!bench.assigner.is_planned());
    bench.now_ms += 20_000;
    bench.connect("p-2", Some(78));
    bench.plan();
    assert_eq!(bench.orders, []);
    bench.now_ms += 10_000;
    bench.plan();
    assert_eq!(bench.told("p-1").unwrap() + bench.told("p-2").unwrap(), 30);
    assert!(bench.orders.iter().all(|order| order.version > 78), "never a number of before");
}

/// A master that knows no list yet takes nothing from anybody.
#[test]
fn without_a_list_nobody_is_told_anything() {
    let mut bench = Bench::new();
    bench.connect("p", Some(5));
    bench.list("p", []);
    bench.now_ms += 60_000;
    bench.plan();
    assert_eq!(bench.orders, []);
}

/// A buddy that does not say what it polls is told in each session.
#[test]
fn who_does_not_say_what_it_polls_is_told() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        bench.connect("dp", None);
        bench.list("dp", 0..3);
        bench.plan();
        assert_eq!(bench.told("dp"), Some(3));
        bench.settle();
        bench.assigner.disconnect("dp", false, bench.now_ms);
    }
}

/// A buddy that stands by has hosts only while nobody else can have them.
#[test]
fn who_stands_by_gives_way_to_everybody() {
    let mut bench = Bench::new();
    bench.connect("d", None);
    bench.list("d", 0..8);
    bench.connect("ps", Some(0));
    bench.settle();
    assert_eq!(bench.load("ps"), 8);
    bench.connect("p", Some(0));
    bench.plan();
    assert_eq!((bench.told("p"), bench.told("ps")), (Some(8), None));
    bench.accept();
    bench.plan();
    assert_eq!(bench.told("ps"), Some(0));
}

/// Rounds between the loss of a buddy and the first tick that is whole again miss its rows, unless
/// it brings them later itself.
#[test]
fn the_ticks_without_a_buddy_are_known() {
    let mut bench = Bench::new();
    bench.connect("d", None);
    ["p-1", "p-2"].iter().for_each(|name| bench.connect(name, Some(0)));
    bench.list("d", 0..40);
    bench.settle();
    let misses = |bench: &Bench, after_ms: i64, ended: &[&str]| {
        bench.assigner.misses(START + after_ms, |name| ended.contains(&name))
    };
    assert!(!misses(&bench, 0, &["p-1", "p-2"]));
    bench.now_ms += 20_000;
    bench.assigner.disconnect("p-1", false, bench.now_ms);
    bench.plan();
    assert!(misses(&bench, 15_000, &["p-2"]));
    assert!(misses(&bench, 3_600_000, &["p-2"]), "as long as nobody else has them");
    bench.now_ms += 8_000;
    bench.settle();
    assert!(misses(&bench, 30_000, &["p-2"]));
    assert!(!misses(&bench, 30_000, &["p-1", "p-2"]), "from its spool");
    assert!(!misses(&bench, 45_000, &["p-2"]));
}

/// Of a buddy on each node one may come late: that is as if its node did not answer.
#[test]
fn one_of_many_is_not_missed() {
    let mut bench = Bench::new();
    for number in 0..20 {
        let name = format!("dp-{number:02}");
        bench.connect(&name, Some(0));
        bench.list(&name, number..number + 1);
    }
    bench.settle();
    let misses =
        |late: &[&str]| bench.assigner.misses(START + 15_000, |name| !late.contains(&name));
    assert!(!misses(&["dp-03", "dp-07"]));
    assert!(misses(&["dp-03", "dp-07", "dp-11"]));
}

/// A buddy that has hosts and is silent is missed before it is known to be lost; one that has just
/// been given hosts is not missed at the ticks before.
#[test]
fn who_has_hosts_is_missed_at_once() {
    let mut bench = Bench::new();
    bench.connect("d", None);
    bench.connect("p-1", Some(0));
    bench.list("d", 0..40);
    bench.settle();
    let misses = |bench: &Bench, after_ms: i64| {
        bench.assigner.misses(START + after_ms, |name| name == "p-1")
    };
    bench.now_ms += 20_000;
    bench.connect("p-2", Some(0));
    bench.settle();
    assert!(!misses(&bench, 15_000));
    assert!(misses(&bench, 30_000), "it has not come to the end");
    bench.now_ms += 20_000;
    bench.assigner.disconnect("p-2", true, bench.now_ms);
    bench.settle();
    assert!(!misses(&bench, 75_000));
}
