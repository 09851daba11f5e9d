//! Events as lines, in the ancestor's two shapes:
//!
//! ```text
//! log/events,cluster_name=lab,hostname=node-a,namespace_name=shop,pod_name=web-1 value="{...}" TIME
//! events,cluster_name=lab,component=kubelet,...,type=Warning message="...",count=3i,... TIME
//! ```
//!
//! The ancestor made a tag of the event's uid, so that each event began a series, until the database
//! had more of them than it could hold. Here uids are no tags. What then would be two events of one
//! series and time, of which a database keeps one, is told apart by the time's last six digits: an
//! event is known to the millisecond at best, and the nanoseconds come from its uid and count. They are
//! the same whenever it is written again.

use heapster_shared::{event::Event, tag};

use super::{super::escape, Encoder, tag as push_tag};
use crate::{
    delivery::EventBatch,
    sinks::{event_json::as_in_kubernetes, labels::CLUSTER_NAME, lines::Body},
};

const NANOSECONDS: i64 = 1_000_000;

impl Encoder {
    /// The lines of some batches of events, in bodies of limited size.
    pub(in super::super) fn encode_events<'a>(
        &self,
        batches: impl IntoIterator<Item = &'a EventBatch>,
    ) -> Vec<Body> {
        let mut bodies = Vec::new();
        let mut body = Body::default();
        for batch in batches {
            let cluster = self.cluster_name.as_deref().unwrap_or(&batch.cluster);
            for event in &batch.events {
                encode_event(event, cluster, self.schema.with_fields, &mut body);
                if body.text.len() >= self.body_bytes {
                    bodies.push(std::mem::take(&mut body));
                }
            }
        }
        if !body.lines.is_empty() {
            bodies.push(body);
        }
        bodies
    }
}

fn encode_event(event: &Event, cluster: &str, with_fields: bool, body: &mut Body) {
    let out = &mut body.text;
    if with_fields {
        out.extend_from_slice(b"events");
        tags_with_fields(event, cluster, out);
        fields(event, out);
    } else {
        out.extend_from_slice(b"log/events");
        tags(event, cluster, out);
        out.extend_from_slice(b" value=");
        text(&as_in_kubernetes(event).to_string(), out);
    }
    let mut time = itoa::Buffer::new();
    out.push(b' ');
    out.extend_from_slice(time.format(time_ns(event)).as_bytes());
    out.push(b'\n');
    body.end_line(1);
}

fn tags(event: &Event, cluster: &str, out: &mut Vec<u8>) {
    push_tag(CLUSTER_NAME, cluster, out);
    push_tag(tag::HOSTNAME, &event.host, out);
    push_tag(tag::NAMESPACE_NAME, &event.object_namespace, out);
    if event.object_kind == "Pod" {
        push_tag(tag::POD_NAME, &event.object_name, out);
    }
}

fn tags_with_fields(event: &Event, cluster: &str, out: &mut Vec<u8>) {
    for (name, value) in [
        (CLUSTER_NAME, cluster),
        ("component", &event.component),
        (tag::HOSTNAME, &event.host),
        ("kind", &event.object_kind),
        (tag::NAMESPACE_NAME, &event.object_namespace),
        ("object_name", &event.object_name),
        ("reason", &event.reason),
        ("type", &event.kind),
    ] {
        push_tag(name, value, out);
    }
}

fn fields(event: &Event, out: &mut Vec<u8>) {
    out.extend_from_slice(b" message=");
    text(&event.message, out);
    let mut count = itoa::Buffer::new();
    out.extend_from_slice(b",count=");
    out.extend_from_slice(count.format(event.count).as_bytes());
    out.push(b'i');
    for (name, value) in [("event_uid", &event.uid), ("object_uid", &event.object_uid)] {
        if !value.is_empty() {
            out.push(b',');
            escape::key(name, out);
            out.push(b'=');
            text(value, out);
        }
    }
}

/// A text in quotes. Control characters become spaces: a line break in quotes is allowed, and not
/// understood by every database.
fn text(value: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in value.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(if byte.is_ascii_control() { b' ' } else { byte });
    }
    out.push(b'"');
}

fn time_ns(event: &Event) -> i64 {
    let bytes = event.uid.bytes().chain(event.count.to_le_bytes());
    // FNV-1a, which is the same in every version of this program.
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let nanoseconds = i64::try_from((hash >> 16) % NANOSECONDS.unsigned_abs()).unwrap_or(0);
    event.last_unix_ms.saturating_mul(NANOSECONDS).saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::influxdb::plan::Schema;

    fn event(uid: &str, count: u32) -> Event {
        Event {
            uid: uid.into(),
            first_unix_ms: 1_795_345_200_000,
            last_unix_ms: 1_795_345_201_000,
            count,
            kind: "Warning".into(),
            reason: "BackOff".into(),
            message: "says \"no\" in C:\\\nagain".into(),
            object_kind: "Pod".into(),
            object_namespace: "shop".into(),
            object_name: "web 1".into(),
            object_uid: "o1".into(),
            component: "kubelet".into(),
            host: String::new(),
        }
    }

    fn lines(with_fields: bool, events: Vec<Event>) -> Vec<String> {
        let schema = Schema { with_fields, ..Schema::default() };
        let batch = EventBatch { cluster: "lab".into(), events };
        let bodies = Encoder::new(schema, None, 300).encode_events([&batch]);
        let text: Vec<u8> = bodies.into_iter().flat_map(|body| body.text).collect();
        String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
    }

    /// The measurements, tags and fields of the ancestor, without those that begin a series an
    /// event; what is empty is no tag.
    #[test]
    fn lines_are_those_of_the_ancestor() {
        let line = &lines(false, vec![event("u1", 3)])[0];
        let start = "log/events,cluster_name=lab,namespace_name=shop,pod_name=web\\ 1 value=\"{";
        assert!(line.starts_with(start), "{line}");
        let (value, time) = line[start.len() - 1..].rsplit_once("\" ").unwrap();
        let value = value.replace("\\\"", "\"").replace("\\\\", "\\");
        let value: serde_json::Value = serde_json::from_str(&value).unwrap();
        assert_eq!(value["involvedObject"]["name"], "web 1");
        assert_eq!(value["lastTimestamp"], "2026-11-22T11:00:01Z");
        assert_eq!((&value["count"], &value["metadata"]["uid"]), (&3.into(), &"u1".into()));
        assert_eq!(value["message"], event("u1", 3).message);
        let time: i64 = time.parse().unwrap();
        assert_eq!(time / NANOSECONDS, 1_795_345_201_000, "to the millisecond it is the event's");

        let line = &lines(true, vec![event("u1", 3)])[0];
        let expected = "events,cluster_name=lab,component=kubelet,kind=Pod,namespace_name=shop,\
                        object_name=web\\ 1,reason=BackOff,type=Warning \
                        message=\"says \\\"no\\\" in C:\\\\ again\",count=3i,event_uid=\"u1\",\
                        object_uid=\"o1\" ";
        assert!(line.starts_with(expected), "{line}");
    }

    /// Events of one pod and second are as many points; written again, each is the same one.
    #[test]
    fn each_event_has_a_time_of_its_own_and_keeps_it() {
        let events: Vec<Event> =
            (0..20).map(|index| event(&format!("u{}", index / 2), index % 2)).collect();
        let times = |with_fields| -> Vec<String> {
            let lines = lines(with_fields, events.clone());
            lines.iter().map(|line| line.rsplit_once(' ').unwrap().1.to_owned()).collect()
        };
        let first = times(false);
        let distinct: std::collections::BTreeSet<_> = first.iter().collect();
        assert_eq!(distinct.len(), 20);
        assert_eq!(first, times(true));
    }
}
