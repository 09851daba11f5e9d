//! The requests that a producer makes, and their answers, in versions that brokers from 0.11 to 4.x
//! have.

use std::collections::BTreeMap;

use super::wire::{Put, Reader, Unreadable};

/// A kind of request, by its number in the protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Api {
    Produce = 0,
    Metadata = 3,
    SaslHandshake = 17,
    Versions = 18,
    CreateTopics = 19,
    SaslAuthenticate = 36,
}

/// The oldest and newest versions that a broker has of each kind of request.
pub(super) type Versions = BTreeMap<i16, (i16, i16)>;

/// The answer to a question about versions, which every broker has in its first version.
pub(super) fn read_versions(answer: &[u8]) -> Result<(i16, Versions), Unreadable> {
    let mut reader = Reader(answer);
    let code = reader.i16()?;
    let versions = reader.each(|one| Ok((one.i16()?, (one.i16()?, one.i16()?))))?;
    Ok((code, versions.into_iter().collect()))
}

/// Who leads which part of what.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Metadata {
    /// Addresses by number.
    pub(super) brokers: BTreeMap<i32, String>,
    /// The number of the one that makes topics.
    pub(super) controller: i32,
    pub(super) topics: Vec<Topic>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Topic {
    pub(super) code: i16,
    pub(super) name: String,
    /// The leaders of its partitions; -1 where there is none now.
    pub(super) leaders: BTreeMap<i32, i32>,
}

/// A question about topics, in version 4.
pub(super) fn metadata(topics: &[&str], may_create: bool) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_count(topics.len());
    topics.iter().for_each(|topic| out.put_string(topic));
    out.put_i8(i8::from(may_create));
    out
}

/// Its answer.
pub(super) fn read_metadata(answer: &[u8]) -> Result<Metadata, Unreadable> {
    let mut reader = Reader(answer);
    let _throttled_ms = reader.i32()?;
    let brokers = reader.each(|one| {
        let (number, host, port, _rack) = (one.i32()?, one.string()?, one.i32()?, one.string()?);
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        Ok((number, format!("{host}:{port}")))
    })?;
    let _cluster = reader.string()?;
    let controller = reader.i32()?;
    let topics = reader.each(read_topic)?;
    Ok(Metadata { brokers: brokers.into_iter().collect(), controller, topics })
}

fn read_topic(reader: &mut Reader<'_>) -> Result<Topic, Unreadable> {
    let (code, name, _internal) = (reader.i16()?, reader.string()?, reader.i8()?);
    let leaders = reader.each(|one| {
        let (_code, partition, leader) = (one.i16()?, one.i32()?, one.i32()?);
        one.each(Reader::i32)?;
        one.each(Reader::i32)?;
        Ok((partition, leader))
    })?;
    Ok(Topic { code, name, leaders: leaders.into_iter().collect() })
}

/// A request for a topic, in versions 2 to 4. What is not told is as the broker has it, which those
/// before version 4 cannot be asked for.
pub(super) fn create_topic(
    name: &str,
    partitions: Option<i32>,
    replicas: Option<i16>,
    version: i16,
) -> Vec<u8> {
    let unsaid = if version >= 4 { -1 } else { 1 };
    let mut out = Vec::new();
    out.put_count(1);
    out.put_string(name);
    out.put_i32(partitions.unwrap_or(unsaid.into()));
    out.put_i16(replicas.unwrap_or(unsaid));
    out.put_count(0);
    out.put_count(0);
    out.put_i32(5_000);
    out.put_i8(0);
    out
}

/// Its answer: a code, and what the broker says.
pub(super) fn read_created(answer: &[u8]) -> Result<(i16, String), Unreadable> {
    let mut reader = Reader(answer);
    let _throttled_ms = reader.i32()?;
    let topics = reader.each(|one| {
        let _name = one.string()?;
        Ok((one.i16()?, one.string()?))
    })?;
    topics.into_iter().next().ok_or(Unreadable)
}

/// Topic, partition and batch.
pub(super) type Sent<'a> = (&'a str, i32, &'a [u8]);

/// A batch for each of some partitions. In versions 3 to 7; answered when all
/// replicas that are in sync have it.
pub(super) fn produce(batches: &[Sent<'_>], timeout_ms: i32) -> Vec<u8> {
    let bytes: usize = batches.iter().map(|(.., batch)| batch.len() + 64).sum();
    let mut out = Vec::with_capacity(bytes + 64);
    // No transaction.
    out.put_i16(-1);
    // Of all replicas.
    out.put_i16(-1);
    out.put_i32(timeout_ms);
    let mut topics: BTreeMap<&str, Vec<(i32, &[u8])>> = BTreeMap::new();
    for (topic, partition, batch) in batches {
        topics.entry(topic).or_default().push((*partition, batch));
    }
    out.put_count(topics.len());
    for (topic, parts) in topics {
        out.put_string(topic);
        out.put_count(parts.len());
        for (partition, batch) in parts {
            out.put_i32(partition);
            out.put_bytes(batch);
        }
    }
    out
}

/// What became of the batch of one partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Produced {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) code: i16,
}

/// The answer to [`produce`].
pub(super) fn read_produced(answer: &[u8], version: i16) -> Result<Vec<Produced>, Unreadable> {
    let mut reader = Reader(answer);
    let topics = reader.each(|one| {
        let topic = one.string()?;
        one.each(|part| {
            let (partition, code) = (part.i32()?, part.i16()?);
            let (_offset, _time) = (part.i64()?, part.i64()?);
            if version >= 5 {
                part.i64()?;
            }
            Ok(Produced { topic: topic.clone(), partition, code })
        })
    })?;
    Ok(topics.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn metadata_is_read_as_published() {
        let mut answer = Vec::new();
        answer.put_i32(0);
        answer.put_count(1);
        answer.put_i32(7);
        answer.put_string("::1");
        answer.put_i32(9092);
        answer.put_i16(-1);
        answer.put_string("cluster");
        answer.put_i32(7);
        answer.put_count(1);
        answer.put_i16(0);
        answer.put_string("t");
        answer.put_i8(0);
        answer.put_count(1);
        answer.put_i16(0);
        answer.put_i32(3);
        answer.put_i32(7);
        answer.put_count(1);
        answer.put_i32(7);
        answer.put_count(0);
        let metadata = read_metadata(&answer).unwrap();
        assert_eq!(metadata.brokers[&7], "[::1]:9092");
        assert_eq!((metadata.controller, metadata.topics[0].leaders[&3]), (7, 7));
        assert_eq!(read_metadata(&answer[..answer.len() - 1]), Err(Unreadable));
    }

    proptest! {
        /// Whatever a broker answers, it is read or not, and never ends the program.
        #[test]
        fn no_answer_is_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (read_versions(&bytes), read_metadata(&bytes), read_created(&bytes));
            let _ = (read_produced(&bytes, 3), read_produced(&bytes, 7));
        }
    }
}
