//! Tests of restarts and of giving up.

use std::sync::atomic::{AtomicUsize, Ordering};

use actix::{Arbiter, System};

use super::*;
use crate::{
    actors::{Offer, SinkHandle, mailbox::takes_queued},
    status::SinkStatus,
};

/// A sink that panics as soon as it starts.
struct Crashing {
    _exit: ExitGuard,
}

impl Actor for Crashing {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        panic!("as the test wants");
    }
}

impl Handler<Offer> for Crashing {
    type Result = ();

    fn handle(&mut self, _: Offer, _: &mut Self::Context) {}
}

takes_queued!(Crashing: Offer);

impl Handler<Observe<SinkStatus>> for Crashing {
    type Result = MessageResult<Observe<SinkStatus>>;

    fn handle(&mut self, _: Observe<SinkStatus>, _: &mut Self::Context) -> Self::Result {
        unreachable!("it never runs")
    }
}

impl Handler<Drain> for Crashing {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {}
}

fn crashing(starts: Arc<AtomicUsize>, arbiter: ArbiterHandle) -> SinkChild {
    let start = move |exit| {
        starts.fetch_add(1, Ordering::SeqCst);
        let sink = Crashing::start_in_arbiter(&arbiter, move |_| Crashing { _exit: exit });
        SinkHandle::new("crashing".into(), true, sink)
    };
    SinkChild { name: "crashing".into(), required: true, mailbox_bound: 1, start: Box::new(start) }
}

fn launch(
    max_clusters: usize,
    sinks: impl FnOnce(ArbiterHandle) -> Vec<SinkChild>,
) -> (Addr<Supervisor>, mpsc::Receiver<String>) {
    let arbiters = vec![Arbiter::new().handle(), Arbiter::new().handle()];
    let (failed, failure) = mpsc::channel(1);
    let sinks = sinks(arbiters[1].clone());
    let config = SupervisorConfig {
        arbiters,
        resolution: Resolution::DEFAULT,
        retention: Duration::from_secs(900),
        silence: Duration::from_secs(30),
        max_hosts: 10,
        max_clusters,
        intensity: Intensity { restarts: 2, within: Duration::from_secs(60) },
        failure: failed,
    };
    (Supervisor::launch(config, sinks).unwrap().supervisor, failure)
}

/// A program that cannot work must not look as if it did.
#[test]
fn a_child_that_keeps_failing_ends_the_program_with_a_sentence() {
    System::new().block_on(async {
        let starts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&starts);
        let (supervisor, mut failure) = launch(1, |arbiter| vec![crashing(counted, arbiter)]);
        let why = failure.recv().await.unwrap();
        assert!(why.contains("sink/crashing failed more than 2 times in 60 s"), "{why}");
        assert!(why.contains("panicked"), "{why}");
        assert_eq!(starts.load(Ordering::SeqCst), 3);
        let actors = supervisor.send(Observe::<Vec<ActorStatus>>::default()).await.unwrap();
        let sink = actors.iter().find(|actor| actor.path == "sink/crashing").unwrap();
        assert_eq!((sink.restarts, sink.last_exit.as_str()), (2, "panicked"));
        assert_eq!(sink.state["error"], "it did not answer");
    });
}

#[test]
fn clusters_are_started_once_and_bounded() {
    System::new().block_on(async {
        let (supervisor, _failure) = launch(1, |_| Vec::new());
        let find = async |name: &str, create| {
            let find = FindCluster { name: name.to_owned(), create };
            supervisor.send(find).await.unwrap().map(drop)
        };
        assert_eq!(find("a", false).await, Err(FindError::Unknown));
        assert_eq!(find("a", true).await, Ok(()));
        assert_eq!(find("a", false).await, Ok(()));
        assert_eq!(find("b", true).await, Err(FindError::TooMany));
        assert_eq!(supervisor.send(ListClusters).await.unwrap().len(), 1);
        supervisor.send(Drain { deadline: Instant::now() }).await.unwrap();
    });
}
