//! Events as messages that a master takes: it would refuse the whole frame for one name that is too
//! long.

use heapster_proto::v1;
use heapster_shared::event::Event;
use prost::Message;

use super::{HEAD_BYTES, WriteLimits, define::cut};

/// Longer texts are cut; a master keeps no more of them.
const MOST_TEXT_BYTES: usize = 4_096;
/// Events of one frame: what a master routes and writes in one piece.
const MOST_EVENTS: usize = 1_000;
/// The head of an event in its frame.
const EVENT_HEAD_BYTES: usize = 8;

/// The events in messages that fit a frame each. Those without a uid are left out, and those for
/// which no frame is large enough.
pub(in crate::uplink) fn event_batches(events: &[Event], limits: &WriteLimits) -> Vec<v1::Events> {
    let room = limits.frame_bytes.saturating_sub(HEAD_BYTES);
    let mut batches: Vec<v1::Events> = Vec::new();
    let mut left = 0;
    for event in events.iter().filter(|event| !event.uid.is_empty()) {
        let wire = wire_event(event, limits);
        let bytes = wire.encoded_len() + EVENT_HEAD_BYTES;
        if bytes > room {
            continue;
        }
        match batches.last_mut().filter(|last| bytes <= left && last.events.len() < MOST_EVENTS) {
            Some(last) => last.events.push(wire),
            None => {
                left = room;
                batches.push(v1::Events { events: vec![wire] });
            }
        }
        left -= bytes;
    }
    batches
}

fn wire_event(event: &Event, limits: &WriteLimits) -> v1::Event {
    let name = |text: &str| cut(text, limits.label_bytes.min(MOST_TEXT_BYTES)).to_owned();
    let time = |unix_ms: i64| u64::try_from(unix_ms).unwrap_or(0);
    v1::Event {
        uid: name(&event.uid),
        first_unix_ms: time(event.first_unix_ms),
        last_unix_ms: time(event.last_unix_ms),
        count: event.count,
        r#type: name(&event.kind),
        reason: name(&event.reason),
        message: cut(&event.message, MOST_TEXT_BYTES).to_owned(),
        object_kind: name(&event.object_kind),
        object_namespace: name(&event.object_namespace),
        object_name: name(&event.object_name),
        object_uid: name(&event.object_uid),
        component: name(&event.component),
        host: name(&event.host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(uid: &str, message: &str) -> Event {
        Event { uid: uid.into(), message: message.into(), count: 2, ..Event::default() }
    }

    fn limits(frame_bytes: usize) -> WriteLimits {
        WriteLimits { frame_bytes, label_bytes: 16, ..WriteLimits::default() }
    }

    /// No frame is larger than the master takes, no event is lost to that, and their order stays.
    #[test]
    fn events_are_parted_to_fit() {
        let events: Vec<Event> =
            (0..50).map(|index| event(&index.to_string(), &"x".repeat(index * 5))).collect();
        let batches = event_batches(&events, &limits(600));
        assert!(batches.len() > 5, "{}", batches.len());
        let frame = |events: &v1::Events| {
            let kind = v1::frame::Kind::Events(events.clone());
            v1::Frame { sequence: u64::MAX, kind: Some(kind) }.encoded_len()
        };
        assert!(batches.iter().all(|batch| frame(batch) <= 600));
        let uids: Vec<&str> = batches
            .iter()
            .flat_map(|batch| &batch.events)
            .map(|event| event.uid.as_str())
            .collect();
        assert_eq!(uids, events.iter().map(|event| event.uid.as_str()).collect::<Vec<_>>());
    }

    /// One event that a master would refuse must not cost the others of its frame.
    #[test]
    fn what_a_master_would_refuse_is_cut_or_left_out() {
        let mut long = event("a", &"ü".repeat(4_000));
        long.object_name = "n".repeat(100);
        let batches = event_batches(&[event("", "x"), long], &limits(64 << 10));
        let [batch] = &batches[..] else { panic!("{batches:?}") };
        let [event] = &batch.events[..] else { panic!("{batch:?}") };
        assert_eq!((event.object_name.len(), event.message.len()), (16, MOST_TEXT_BYTES));
        assert!(event_batches(std::slice::from_ref(&long_message()), &limits(1_000)).is_empty());
    }

    fn long_message() -> Event {
        event("a", &"x".repeat(2_000))
    }
}
