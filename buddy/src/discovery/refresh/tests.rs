//! The wrapper of discoveries under a paused clock.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use super::*;

/// A discovery whose answers are put in by the test.
#[derive(Clone, Default)]
struct Scripted(Arc<Script>);

#[derive(Default)]
struct Script {
    answer: Mutex<Option<Vec<Host>>>,
    left_out: Vec<String>,
    lists: AtomicUsize,
    changed: Notify,
}

impl Scripted {
    fn answering(ids: &[&str]) -> Self {
        let scripted = Self::default();
        scripted.set(Some(ids));
        scripted
    }

    fn set(&self, ids: Option<&[&str]>) {
        let hosts = ids.map(|ids| ids.iter().map(|id| Host::named(id)).collect());
        *self.0.answer.lock().unwrap() = hosts;
    }

    fn lists(&self) -> usize {
        self.0.lists.load(Ordering::Relaxed)
    }
}

#[async_trait::async_trait]
impl Discovery for Scripted {
    async fn list(&mut self) -> Result<Vec<Host>, DiscoveryError> {
        self.0.lists.fetch_add(1, Ordering::Relaxed);
        let answer = self.0.answer.lock().unwrap().clone();
        answer.ok_or_else(|| DiscoveryError("the script says no".to_owned()))
    }

    async fn changed(&mut self) {
        self.0.changed.notified().await;
    }

    fn left_out(&self) -> &[String] {
        &self.0.left_out
    }
}

const INTERVAL: Duration = Duration::from_secs(60);

fn start(scripts: &[&Scripted], own: &[&str]) -> (watch::Receiver<Listing>, CancellationToken) {
    let boxed = |(index, script): (usize, &&Scripted)| {
        (format!("script:{index}"), Box::new((*script).clone()) as Box<dyn Discovery>)
    };
    let discoveries = scripts.iter().enumerate().map(boxed).collect();
    let own = own.iter().map(|id| Host::named(id)).collect();
    let cancel = CancellationToken::new();
    (spawn(discoveries, own, INTERVAL, cancel.clone()), cancel)
}

fn ids(listing: &Listing) -> Vec<&str> {
    listing.hosts.iter().map(|host| host.id.as_str()).collect()
}

/// The next listing for which this holds.
async fn wait_for(
    receiver: &mut watch::Receiver<Listing>,
    holds: impl FnMut(&Listing) -> bool,
) -> Listing {
    receiver.wait_for(holds).await.unwrap().clone()
}

/// The hosts of sources are there at once and stay, those of discoveries join them.
#[tokio::test(start_paused = true)]
async fn own_hosts_come_first_and_lists_are_merged() {
    let (first, second) = (Scripted::answering(&["a", "b"]), Scripted::answering(&["c"]));
    let (mut receiver, _cancel) = start(&[&first, &second], &["own"]);
    assert_eq!(ids(&receiver.borrow()), ["own"]);
    assert!(!receiver.borrow().states[0].ok);
    let listing = wait_for(&mut receiver, |listing| listing.hosts.len() == 4).await;
    assert_eq!(ids(&listing), ["own", "a", "b", "c"]);
    let listing = wait_for(&mut receiver, |listing| listing.states.iter().all(|s| s.ok)).await;
    assert_eq!(listing.states.iter().map(|state| state.hosts).sum::<usize>(), 3);
    assert!(listing.states.iter().all(|state| state.error.is_empty() && state.listed_unix_ms > 0));
}

/// Of two hosts with one id the first stands, whoever lists first, and the later one is told.
#[tokio::test(start_paused = true)]
async fn a_conflict_is_named() {
    let (first, second) = (Scripted::answering(&["a"]), Scripted::answering(&["a", "b", "own"]));
    let (mut receiver, _cancel) = start(&[&first, &second], &["own"]);
    let listing =
        wait_for(&mut receiver, |listing| listing.states.iter().all(|state| state.ok)).await;
    assert_eq!(ids(&listing), ["own", "a", "b"]);
    assert_eq!(listing.states[0].error, "");
    let told = &listing.states[1].error;
    assert!(told.contains("`a` of script:0") && told.contains("`own` of a source"), "{told}");
}

/// A failure keeps the last good list, says why, and is tried again sooner than the interval, with
/// waits that grow.
#[tokio::test(start_paused = true)]
async fn the_last_good_list_stands() {
    let script = Scripted::answering(&["a"]);
    let (mut receiver, _cancel) = start(&[&script], &[]);
    let good = wait_for(&mut receiver, |listing| listing.states[0].ok).await;
    script.set(None);
    let bad = wait_for(&mut receiver, |listing| !listing.states[0].ok).await;
    assert!(Arc::ptr_eq(&good.hosts, &bad.hosts));
    assert_eq!(bad.states[0].error, "the script says no");
    assert_eq!(bad.states[0].listed_unix_ms, good.states[0].listed_unix_ms);
    let (before, since) = (script.lists(), tokio::time::Instant::now());
    while script.lists() < before + 3 {
        receiver.changed().await.unwrap();
    }
    let waited = since.elapsed();
    assert!(waited > Duration::from_secs(3) && waited < Duration::from_secs(10), "{waited:?}");
    script.set(Some(&["a", "b"]));
    let mended = wait_for(&mut receiver, |listing| listing.states[0].ok).await;
    assert_eq!(ids(&mended), ["a", "b"]);
}

/// A change is read at once, also while a failure is waited out.
#[tokio::test(start_paused = true)]
async fn a_change_is_not_waited_for() {
    let script = Scripted::answering(&["a"]);
    let (mut receiver, _cancel) = start(&[&script], &[]);
    wait_for(&mut receiver, |listing| listing.states[0].ok).await;
    let since = tokio::time::Instant::now();
    for answer in [None, Some(&["a", "b"][..])] {
        script.set(answer);
        script.0.changed.notify_one();
        wait_for(&mut receiver, |listing| listing.states[0].ok == answer.is_some()).await;
    }
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
}

/// What was left out of a good list shows in its state.
#[tokio::test(start_paused = true)]
async fn what_is_left_out_is_told() {
    let mut script = Script { left_out: vec!["key /b: no".to_owned()], ..Script::default() };
    script.answer = Mutex::new(Some(vec![Host::named("a")]));
    let (mut receiver, _cancel) = start(&[&Scripted(Arc::new(script))], &[]);
    let listing = wait_for(&mut receiver, |listing| listing.states[0].ok).await;
    assert_eq!(listing.states[0].error, "key /b: no");
}

/// The channel stays open for who has no discovery, and closes after the cancellation.
#[tokio::test(start_paused = true)]
async fn it_ends_when_cancelled() {
    let script = Scripted::answering(&["a"]);
    for scripts in [&[][..], &[&script]] {
        let (mut receiver, cancel) = start(scripts, &["own"]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        receiver.mark_unchanged();
        cancel.cancel();
        while receiver.changed().await.is_ok() {}
    }
}
