//! The hosts of a cluster and who polls them: what buddies say of hosts, when the assignment is looked
//! at, and how orders reach the buddies.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use heapster_shared::tick::unix_ms;
use tracing::{info, warn};

use super::{AnswerOrder, AskPollNeed, Cluster, PollNeed, UpdateHealth, UpdateHosts};
use crate::{
    actors::buddy::Identity,
    core::{
        assign::{Order, Task},
        inventory::NotApplied,
    },
};

/// Changes that come together are looked at together.
const GATHER: Duration = Duration::from_millis(50);

impl Cluster {
    /// Something changed: looks at the assignment in a moment.
    pub(super) fn plan_soon(&mut self, ctx: &mut Context<Self>) {
        if !self.plans_soon {
            self.plans_soon = true;
            ctx.run_later(GATHER, |cluster, _| {
                cluster.plans_soon = false;
                cluster.plan();
            });
        }
    }

    /// A buddy was cut off: looks whether it has come back, when it has had its time.
    pub(super) fn plan_later(&self, ctx: &mut Context<Self>) {
        ctx.run_later(self.assigner.grace(), Self::plan_when_due);
    }

    /// Looks at the assignment where a buddy has come or is missed since.
    pub(super) fn plan_when_due(&mut self, _: &mut Context<Self>) {
        let Self { assigner, members, .. } = self;
        if assigner.is_due(|buddy| members.heard_ms(buddy), unix_ms()) {
            self.plan();
        }
    }

    fn plan(&mut self) {
        let Self { assigner, members, inventory, .. } = self;
        let orders = assigner.plan(inventory, |buddy| members.heard_ms(buddy), unix_ms());
        orders.into_iter().for_each(|order| self.send(order));
    }

    fn send(&self, order: Order) {
        let Some(member) = self.members.get(&order.buddy) else { return };
        let hosts = match &order.task {
            Task::Own => None,
            Task::Hosts(hosts) => Some(hosts.len()),
        };
        let (cluster, buddy, version) = (&*self.config.name, &*order.buddy, order.version);
        info!(cluster, buddy, version, hosts, "a buddy is told which hosts to poll");
        member.orders.send_replace(Some(order));
    }
}

impl Handler<UpdateHosts> for Cluster {
    type Result = Result<(), NotApplied>;

    fn handle(&mut self, update: UpdateHosts, ctx: &mut Self::Context) -> Self::Result {
        let applied = self.inventory.apply(&update.buddy_id, update.update);
        if let Err(error) = &applied {
            warn!(
                cluster = &*self.config.name,
                buddy = update.buddy_id,
                ?error,
                "a list of hosts was not taken"
            );
        }
        self.plan_soon(ctx);
        applied
    }
}

impl Handler<UpdateHealth> for Cluster {
    type Result = ();

    fn handle(&mut self, health: UpdateHealth, _: &mut Self::Context) {
        self.inventory.health(&health.buddy_id, health.hosts, health.discoveries);
    }
}

impl Handler<AnswerOrder> for Cluster {
    type Result = ();

    fn handle(&mut self, answer: AnswerOrder, ctx: &mut Self::Context) {
        let AnswerOrder { buddy_id, version, error } = answer;
        if let Some(error) = &error {
            let cluster = &*self.config.name;
            warn!(
                cluster,
                buddy = buddy_id,
                version,
                error,
                "a buddy refuses the hosts it is given"
            );
        }
        if self.assigner.answer(&buddy_id, version, error) {
            self.plan_soon(ctx);
        }
    }
}

impl Handler<AskPollNeed> for Cluster {
    type Result = PollNeed;

    fn handle(&mut self, _: AskPollNeed, _: &mut Self::Context) -> PollNeed {
        let stands_by = |identity: &Identity| identity.standby;
        let connected = || self.members.connected().map(|member| &member.record.identity);
        let statuses = self.assigner.statuses();
        let assigned = connected()
            .filter(|identity| stands_by(identity))
            .filter_map(|identity| statuses.get(&*identity.buddy_id));
        PollNeed {
            cluster: self.config.name.to_string(),
            hosts: self.inventory.merged().iter().filter(|merged| !merged.host.local).count(),
            pollers: connected().filter(|it| it.polls() && !stands_by(it)).count(),
            on_standby: assigned.map(|status| status.hosts).sum(),
        }
    }
}
