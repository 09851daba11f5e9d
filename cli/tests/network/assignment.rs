//! Who polls what, as buddies die, join and are cut off: counted at the hosts, and in the sink.

mod counts;
mod proxy;

use std::{collections::BTreeMap, fmt::Debug, path::PathBuf, str::FromStr, time::Duration};

use counts::{Counts, Polls};
use heapster_shared::tick::unix_ms;
use heapster_testkit::process::Process;
use proxy::Proxy;

use crate::support::{Lab, Master, cut_off, eventually, start_buddy_at};

/// The distance between ticks of the small clusters.
const TICK_MS: i64 = 2_000;
/// How many hosts the large one has, and the distance between its ticks, in milliseconds.
const HOSTS: (&str, usize) = ("HEAPSTER_ASSIGNMENT_HOSTS", 1000);
const TICKS: (&str, i64) = ("HEAPSTER_ASSIGNMENT_TICK_MS", 3_000);

fn setting<T: FromStr<Err: Debug>>((name, default): (&str, T)) -> T {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// A cluster whose hosts one buddy finds and others poll.
struct Story {
    lab: Lab,
    master: Master,
    hosts: usize,
    resolution_ms: i64,
    rows: PathBuf,
    _finder: Process,
}

impl Story {
    async fn start(hosts: usize, resolution_ms: i64) -> Self {
        let lab = Lab::start(hosts, 1, 1).await;
        lab.sim.log_polls();
        let rows = lab.folder.path().join("rows.log");
        let sink = format!("log:{}?format=json&required=true", rows.display());
        let master = Master::start_at(&format!("{resolution_ms}ms"), &["--sink", &sink]);
        let finds = ["--cluster", "lab", "--role", "discovers", "--buddy-id", "finder"];
        let discovery = ["--discovery", &lab.discovery()];
        let _finder = start_buddy_at(&master.grpc_url(), &[&finds[..], &discovery].concat());
        Self { lab, master, hosts, resolution_ms, rows, _finder }
    }

    fn poller(&self, id: &str) -> Process {
        poller(&self.master.grpc_url(), id)
    }

    /// Who is to poll each host.
    fn owners(&self) -> BTreeMap<String, String> {
        let api = self.master.api();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let ask = || {
            // A cluster that is too busy to answer in time is left out.
            let clusters = api.get("/api/v1/clusters");
            let hosts = clusters[0]["hosts"].as_array()?.iter();
            let owner =
                |host: &serde_json::Value| (text(&host["host"]["name"]), text(&host["polled_by"]));
            let owners: BTreeMap<String, String> = hosts.map(owner).collect();
            (owners.len() == self.hosts).then_some(owners)
        };
        eventually(ask, || api.validate())
    }

    /// Waits until these have all hosts between them and have said so, and for two whole ticks more.
    async fn shared_by(&self, names: &[&str]) -> i64 {
        let api = self.master.api();
        // A report of many hosts costs the master: it is not to be busy with those alone.
        let between = Duration::from_micros(self.hosts as u64 * 500);
        let is_shared = || {
            std::thread::sleep(between);
            let buddies = api.get("/api/v1/buddies");
            let buddies = buddies.as_array().unwrap();
            let hosts = names.iter().map(|name| {
                let buddy = buddies.iter().find(|buddy| buddy["id"] == *name)?;
                let assignment = &buddy["assignment"];
                let is_said = assignment["version"] == assignment["acknowledged_version"]
                    && assignment["unanswered_since_unix_ms"] == 0;
                assignment["hosts"].as_u64().filter(|hosts| is_said && *hosts > 0)
            });
            let hosts: Option<Vec<u64>> = hosts.collect();
            (hosts?.iter().sum::<u64>() == self.hosts as u64).then_some(())
        };
        eventually(is_shared, || api.validate());
        let settled_ms = unix_ms();
        self.whole_ticks(2).await;
        settled_ms
    }

    /// Waits for so many ticks from the next one on.
    async fn whole_ticks(&self, count: i64) {
        let until_ms = (unix_ms() / self.resolution_ms + count + 1) * self.resolution_ms;
        let left_ms = u64::try_from(until_ms - unix_ms()).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(left_ms)).await;
    }

    /// Reads what was counted, when the rows of the last tick are there.
    fn counts(&self, from_ms: i64) -> Counts {
        let until = (unix_ms() / self.resolution_ms - 1) * self.resolution_ms;
        let names: Vec<String> =
            self.lab.sim.hosts().iter().map(|host| host.name.clone()).collect();
        let polls = (0..self.hosts).map(|host| self.lab.sim.polls(host));
        let polls: Polls = names.iter().cloned().zip(polls).collect();
        let read = || Counts::read(&polls, &self.rows, from_ms, until, self.resolution_ms);
        eventually(|| read().has_all_of_the_last().then(read), || self.master.api().validate())
    }
}

fn poller(master: &str, id: &str) -> Process {
    let fixed = ["--cluster", "lab", "--role", "polls", "--source", "cadvisor", "--buddy-id", id];
    start_buddy_at(master, &fixed)
}

fn hosts_of<'a>(owners: &'a BTreeMap<String, String>, buddy: &str) -> Vec<&'a str> {
    let owned = owners.iter().filter(|(_, owner)| *owner == buddy);
    owned.map(|(host, _)| host.as_str()).collect()
}

/// Three buddies poll what a fourth finds. One is killed, one joins, one is cut off and comes back.
/// Every host is asked once in each tick, but for those in which it changes hands, and has rows
/// for each but the two at the most in which its buddy died. While a buddy is cut off it goes on, so
/// that its hosts are asked by others too. Nobody else's hosts move, and no sum has a dip.
#[tokio::test(flavor = "multi_thread")]
async fn every_host_is_polled_whoever_dies_joins_or_is_cut_off() {
    let hosts = setting(HOSTS);
    let story = Story::start(hosts, setting(TICKS)).await;
    let proxy = Proxy::start(story.master.grpc_url().trim_start_matches("http://")).await;
    let mut killed = story.poller("p-1");
    let _others = [poller(&proxy.url(), "p-2"), story.poller("p-3")];
    let from_ms = story.shared_by(&["p-1", "p-2", "p-3"]).await + story.resolution_ms;

    let before = story.owners();
    let killed_ms = unix_ms();
    cut_off(&mut killed);
    let taken_ms = story.shared_by(&["p-2", "p-3"]).await;
    let after = story.owners();
    let stays = |host: &&String| before[*host] == "p-1" || before[*host] == after[*host];
    assert!(after.keys().all(|host| stays(&host)), "only the hosts of the dead move");

    let joins_ms = unix_ms();
    let _joiner = story.poller("p-4");
    let joined_ms = story.shared_by(&["p-2", "p-3", "p-4"]).await;
    let shared = story.owners();
    let moved: Vec<&String> = shared.keys().filter(|host| after[*host] != shared[*host]).collect();
    assert!(moved.iter().all(|host| shared[*host] == "p-4") && moved.len() <= hosts.div_ceil(3));

    let cut_ms = unix_ms();
    proxy.cut();
    story.shared_by(&["p-3", "p-4"]).await;
    proxy.mend();
    let mended_ms = story.shared_by(&["p-2", "p-3", "p-4"]).await;

    let counts = story.counts(from_ms);
    let died = counts.ticks_between(killed_ms, taken_ms);
    let joined = counts.ticks_between(joins_ms, joined_ms);
    let cut = counts.ticks_between(cut_ms, mended_ms);
    let phases = [("killed", &died), ("joined", &joined), ("cut off", &cut)];
    let (of_dead, of_cut) = (hosts_of(&before, "p-1"), hosts_of(&shared, "p-2"));
    let [dead, took, cut_off] = [of_dead.len(), moved.len(), of_cut.len()];
    println!("{}", counts.table(&phases));
    println!("hosts of the killed: {dead}, of the joined: {took}, of the one cut off: {cut_off}");
    let calm = |tick: &i64| !phases.iter().any(|(_, ticks)| ticks.contains(tick));
    for (host, of_host) in counts.by_host() {
        let name = host.as_str();
        of_host.assert_asked_once(|tick| calm(tick));
        if of_dead.contains(&name) {
            assert!(of_host.without_rows(&died) <= 2, "{of_host:?}");
        } else {
            of_host.assert_asked_once(|tick| died.contains(tick));
        }
        assert!(of_host.asked_twice(&joined) <= 1, "{of_host:?}");
        assert!(of_cut.contains(&name) || of_host.asked_twice(&cut) <= 2, "{of_host:?}");
        assert_eq!(of_host.without_rows_but(&died), 0, "{of_host:?}");
        assert!(of_host.most_asked() <= 3, "{of_host:?}");
    }
    counts.assert_no_dip();
}

/// The way between a buddy and the master is frozen: nothing ends, and nothing comes. The buddy is
/// missed after a heartbeat, others have its hosts, and what it measured meanwhile comes when the
/// way is open again: no tick is without rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_buddy_that_falls_silent_is_taken_over() {
    let story = Story::start(20, TICK_MS).await;
    let proxy = Proxy::start(story.master.grpc_url().trim_start_matches("http://")).await;
    let _pollers = [poller(&proxy.url(), "p-1"), story.poller("p-2")];
    let from_ms = story.shared_by(&["p-1", "p-2"]).await + story.resolution_ms;
    let before = story.owners();
    let frozen_ms = unix_ms();
    proxy.freeze();
    story.shared_by(&["p-2"]).await;
    proxy.mend();
    let mended_ms = story.shared_by(&["p-1", "p-2"]).await;

    // The ticks of the silence have no sums; with these, most have one.
    story.whole_ticks(5).await;
    let counts = story.counts(from_ms);
    let frozen = counts.ticks_between(frozen_ms, mended_ms);
    for (host, of_host) in counts.by_host() {
        of_host.assert_asked_once(|tick| !frozen.contains(tick));
        assert!(before[host] == "p-1" || of_host.asked_twice(&frozen) <= 2, "{of_host:?}");
        assert_eq!(of_host.without_rows(&frozen), 0, "{of_host:?}");
    }
    counts.assert_no_dip();
}

/// Buddies go on with what they have while the master is away, and when it is back: nobody is given
/// what another one polls before that one had time to come back.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_started_again_moves_nothing() {
    let mut story = Story::start(20, TICK_MS).await;
    let _pollers = [story.poller("p-1"), story.poller("p-2")];
    let from_ms = story.shared_by(&["p-1", "p-2"]).await + story.resolution_ms;
    cut_off(&mut story.master.process);
    story.master.start_again();
    let api = story.master.api();
    let are_back = || {
        let buddies = api.get("/api/v1/buddies");
        (buddies.as_array().unwrap().len() == 3).then_some(())
    };
    eventually(are_back, || api.validate());
    story.whole_ticks(2).await;
    let counts = story.counts(from_ms);
    for (_, of_host) in counts.by_host() {
        of_host.assert_asked_once(|_| true);
    }
}
