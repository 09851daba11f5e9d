//! Makes the stream where it is absent.

use serde_json::json;

use super::{
    answer::{Fault, Reply},
    connection::Connection,
    options::Options,
};

/// Somebody has just made one of this name.
const NAME_IN_USE: u32 = 10_058;
const NOT_FOUND: u16 = 404;

/// Sees that there is a stream; one that is there stays as it is.
///
/// # Errors
/// A sentence that says what to do.
pub(super) async fn ensure(connection: &mut Connection, options: &Options) -> Result<(), String> {
    if !options.create_stream {
        return Ok(());
    }
    let name = &options.stream;
    match ask(connection, &format!("$JS.API.STREAM.INFO.{name}"), "").await? {
        None => return Ok(()),
        Some(fault) if fault.code == NOT_FOUND => {}
        Some(fault) => return Err(refused(connection, name, &fault)),
    }
    let wanted = json!({
        "name": name,
        "subjects": subjects(options),
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_age": nanoseconds(options.retention),
        "duplicate_window": nanoseconds(match options.retention {
            // A stream does not remember longer than it keeps.
            kept if kept.is_zero() => options.duplicate_window,
            kept => options.duplicate_window.min(kept),
        }),
        "num_replicas": options.replicas,
    });
    let subject = format!("$JS.API.STREAM.CREATE.{name}");
    match ask(connection, &subject, &wanted.to_string()).await? {
        None => Ok(()),
        Some(fault) if fault.err_code == NAME_IN_USE => Ok(()),
        Some(fault) => Err(refused(connection, name, &fault)),
    }
}

fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn refused(connection: &Connection, name: &str, fault: &Fault) -> String {
    let Fault { description, err_code, .. } = fault;
    let place = connection.place();
    format!(
        "{place} does not make the stream `{name}`: {description} ({err_code}); make it, and say create_stream=false"
    )
}

/// What is wrong with a request to JetStream; nothing when it was done.
async fn ask(
    connection: &mut Connection,
    subject: &str,
    body: &str,
) -> Result<Option<Fault>, String> {
    let answer = connection.request(subject, body).await?;
    let reply: Result<Reply, _> = serde_json::from_slice(&answer);
    let strange = |_| format!("{} does not answer as JetStream does", connection.place());
    reply.map(|reply| reply.error).map_err(strange)
}

/// The subjects that a stream is to take: all that begin as ours do.
fn subjects(options: &Options) -> Vec<String> {
    let mut subjects: Vec<String> = Vec::new();
    for template in [&options.subject, &options.events_subject] {
        let subject = match template.split_once('.') {
            Some((first, _)) => format!("{first}.>"),
            None => template.clone(),
        };
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    subjects
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two subjects of one stream may not meet.
    #[test]
    fn a_stream_takes_all_that_begins_as_ours() {
        assert_eq!(subjects(&Options::default()), ["heapster.>"]);
        let options = Options { events_subject: "events".into(), ..Options::default() };
        assert_eq!(subjects(&options), ["heapster.>", "events"]);
    }
}
