//! How the actor of a sink is started.

use std::sync::Arc;

use actix::{Actor, ArbiterHandle};
use tokio::runtime::Handle;

use crate::{
    actors::{SinkChild, SinkHandle, sink::SinkActor},
    sinks::Configured,
};

/// A child of the supervisor that is this sink, under this name. Needs a running tokio runtime.
pub(crate) fn sink_child(sink: Configured, name: String, arbiter: ArbiterHandle) -> SinkChild {
    let required = sink.options.required;
    let sink = Configured { name: name.clone(), ..sink };
    let room = SinkActor::room(&sink);
    let make = SinkActor::factory_in(sink, Handle::current(), Arc::clone(&room));
    SinkChild {
        name: name.clone(),
        required,
        mailbox_bound: SinkActor::MAILBOX,
        start: Box::new(move |guard| {
            let actor = make.clone();
            let address = SinkActor::start_in_arbiter(&arbiter, move |_| actor().guarded(guard));
            SinkHandle::new(name.clone(), required, address).holding_in(Arc::clone(&room))
        }),
    }
}

/// A name by which a sink is told from those that have these names: two of the same spec get a
/// number.
pub(crate) fn unique_name(name: &str, taken: &[String]) -> String {
    let is_free = |name: &String| !taken.contains(name);
    let mut numbered = (2_u32..).map(|number| format!("{name}#{number}"));
    let plain = Some(name.to_owned()).filter(is_free);
    plain.or_else(|| numbered.find(is_free)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let taken = ["log".to_owned(), "log#2".to_owned()];
        assert_eq!(unique_name("log", &taken), "log#3");
        assert_eq!(unique_name("other", &taken), "other");
    }
}
