//! Whether a buddy polls what it is assigned: a host that the check serves itself comes and goes.

use std::time::Duration;

use heapster_proto::v1::{Assignment, AssignmentReply, Host, HostState, to_buddy};

use super::Steps;
use crate::conformance::buddy::{
    ASSIGNED_HOST, ASSIGNMENT,
    served::{Asked, NAME, ServedHost},
    stage::Stage,
};

impl Steps<'_> {
    /// Assigns what the buddy has found itself.
    pub(super) async fn assignment(&mut self) {
        if !self.polls {
            let why = "the buddy has not the role POLLS";
            return [ASSIGNMENT, ASSIGNED_HOST].iter().for_each(|name| {
                self.stage.report.skip(name, why);
            });
        }
        self.assign(1, self.stage.hosts.listed.clone());
        let what = "no AssignmentReply of version 1 came";
        self.expect(ASSIGNMENT, what, |stage| reply(stage, 1).is_some()).await;
    }

    /// Assigns the served host beside them, and waits for its rows; whether it is polled now.
    pub(super) async fn polls_the_assigned(&mut self, served: &ServedHost) -> bool {
        if !self.polls || self.stage.report.failed(ASSIGNMENT) {
            return false;
        }
        let mut hosts = self.stage.hosts.listed.clone();
        hosts.push(served.host());
        self.assign(2, hosts);
        if !self.accepted(2).await {
            return false;
        }
        let says_so = |stage: &Stage| says_that_it_cannot(stage.served_state.as_ref(), served);
        let is_polled = |stage: &Stage| stage.has_rows_of(NAME) && is_ok(stage);
        self.stage.until(self.timeout, |stage| is_polled(stage) || says_so(stage)).await;
        if is_polled(self.stage) {
            return true;
        }
        if says_so(self.stage) {
            let error = self.stage.served_state.as_ref().map_or("", |state| &state.error);
            let why = format!("the buddy took a host with a cAdvisor, and says of it: {error}");
            self.stage.report.skip(ASSIGNED_HOST, &why);
        } else {
            let what = self.missing(served);
            let (timeout, state) = (self.timeout, self.stage.state());
            self.stage.report.fail(ASSIGNED_HOST, format!("{what} within {timeout:?}: {state}"));
        }
        false
    }

    /// Takes the served host away again. A buddy that has no other keeps it.
    pub(super) async fn leaves_the_assigned(&mut self, served: &ServedHost) {
        if !self.stage.hosts.listed.is_empty() {
            self.assign(3, self.stage.hosts.listed.clone());
            if !self.accepted(3).await {
                return;
            }
            // What is under way is waited for, and the next tick may have begun already.
            self.wait(self.resolution * 2).await;
            let before = served.asked().answered;
            self.wait(self.resolution * 2).await;
            let after = served.asked().answered;
            if after > before {
                let what = "the host is polled on after the reply to an Assignment without it";
                self.stage.report.fail(ASSIGNED_HOST, what);
            }
        }
        self.stage.report.pass(ASSIGNED_HOST);
    }

    /// Sends hosts in two chunks.
    fn assign(&mut self, version: u64, mut hosts: Vec<Host>) {
        let rest = hosts.split_off(hosts.len() / 2);
        for (hosts, last) in [(hosts, false), (rest, true)] {
            let assignment = Assignment { version, hosts, last, own_hosts: false };
            self.stage.tell(to_buddy::Kind::Assignment(assignment));
        }
    }

    /// Waits for the reply; a refusal with a reason is the buddy's good right.
    async fn accepted(&mut self, version: u64) -> bool {
        self.stage.until(self.timeout, |stage| reply(stage, version).is_some()).await;
        let given = reply(self.stage, version).cloned();
        let state = self.stage.state();
        let report = &mut self.stage.report;
        match given {
            Some(reply) if reply.accepted => return true,
            Some(reply) if reply.error.is_empty() => {
                let what = "an AssignmentReply has accepted: false and no error: say why";
                report.fail(ASSIGNED_HOST, what);
            }
            Some(reply) => {
                let why = format!("the buddy refused the Assignment: {}", reply.error);
                report.skip(ASSIGNED_HOST, &why);
            }
            None => {
                let what = format!("no AssignmentReply of version {version} came: {state}");
                report.fail(ASSIGNED_HOST, what);
            }
        }
        false
    }

    /// What did not come of the served host.
    fn missing(&self, served: &ServedHost) -> String {
        let url = served.url();
        let state = self.stage.served_state.as_ref();
        match (served.asked(), state) {
            (Asked { answered: 0, unknown: None }, _) => {
                format!("the cAdvisor of the assigned host, {url}, was not asked")
            }
            (Asked { answered: 0, unknown: Some(path) }, _) => {
                format!("the assigned host, {url}, was asked for {path}, which no cAdvisor has")
            }
            _ if !self.stage.has_rows_of(NAME) => {
                format!("{url} was asked, and no row of a NODE of the name {NAME:?} came")
            }
            (_, Some(state)) => {
                format!("rows of {NAME:?} came, and Health says of it: {:?}", state.error)
            }
            (_, None) => format!("rows came, and no HostState of the host_id {NAME:?} in Health"),
        }
    }

    async fn wait(&mut self, long: Duration) {
        self.stage.until(long, |_| false).await;
    }
}

fn reply(stage: &Stage, version: u64) -> Option<&AssignmentReply> {
    stage.replies.iter().find(|reply| reply.version == version)
}

fn is_ok(stage: &Stage) -> bool {
    stage.served_state.as_ref().is_some_and(|state| state.ok)
}

/// Not every buddy speaks to a cAdvisor; one that does not says so of the host.
fn says_that_it_cannot(state: Option<&HostState>, served: &ServedHost) -> bool {
    let honest = state.is_some_and(|state| !state.ok && !state.error.is_empty());
    honest && served.asked().answered == 0
}
