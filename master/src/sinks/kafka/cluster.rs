//! A cluster as one writer knows it: who leads which partition, and a connection to each of these.
//!
//! It is thrown away after any failure, connections included, and made anew from the addresses that the
//! options have. So a restarted broker, a moved leader and an answer that nobody waited for all end in
//! the same way.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::future::try_join_all;

use super::{
    codes,
    connection::{Access, Connection},
    messages::{self, Api, Metadata, Produced, Sent, Topic},
    options::Options,
    records::Batch,
};

/// How long what is known of leaders and partitions is believed.
const BELIEVED: Duration = Duration::from_secs(60);
/// How long a broker may wait for the replicas.
const REPLICAS_MS: i32 = 8_000;
/// A topic that was just made has leaders after a moment.
const ELECTION: Duration = Duration::from_millis(50);
const MOST_ELECTIONS: u32 = 20;

/// A cluster whose topics are there.
pub(super) struct Cluster {
    access: Access,
    metadata: Metadata,
    connections: BTreeMap<i32, Connection>,
    since: Instant,
}

/// A batch and where it goes.
#[derive(Debug)]
pub(super) struct Addressed {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) batch: Batch,
}

impl Cluster {
    /// Finds the leaders of the topics, which are made where they are absent.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub(super) async fn open(access: Access, options: &Options) -> Result<Self, String> {
        let mut first = open_any(&options.brokers, &access).await?;
        let topics = topics(options);
        for election in 0..MOST_ELECTIONS {
            // Brokers that make topics when they are asked about do so only where we may not.
            let question = messages::metadata(&topics, election > 0 && options.create_topics);
            let answer = first.ask(Api::Metadata, 4, &question).await?;
            let metadata = first.read(messages::read_metadata(&answer))?;
            if metadata.topics.iter().all(is_led) && metadata.topics.len() == topics.len() {
                let connections = known(first, &metadata);
                return Ok(Self { access, metadata, connections, since: Instant::now() });
            }
            if election == 0 && options.create_topics {
                let absent = metadata.topics.iter().filter(|one| one.code == codes::UNKNOWN_TOPIC);
                for topic in absent {
                    create(&topic.name, &metadata, &access, options).await?;
                }
            } else if let Some(message) = hopeless(&metadata, options) {
                return Err(message);
            }
            tokio::time::sleep(ELECTION).await;
        }
        let names = topics.join(", ");
        Err(format!("the topics {names} of Kafka have no leaders; see to its brokers"))
    }

    /// Whether what it knows is too old.
    pub(super) fn is_stale(&self) -> bool {
        self.since.elapsed() > BELIEVED
    }

    /// How many partitions a topic has.
    pub(super) fn partitions(&self, topic: &str) -> usize {
        self.topic(topic).map_or(0, |topic| topic.leaders.len())
    }

    fn topic(&self, name: &str) -> Option<&Topic> {
        self.metadata.topics.iter().find(|topic| topic.name == name)
    }

    /// Writes one batch a partition, to all leaders at once.
    ///
    /// # Errors
    /// A sentence, when not all brokers have answered.
    pub(super) async fn produce(
        &mut self,
        batches: &[&Addressed],
        oldest: i16,
    ) -> Result<Vec<Produced>, String> {
        let mut by_leader: BTreeMap<i32, Vec<Sent<'_>>> = BTreeMap::new();
        for Addressed { topic, partition, batch } in batches {
            let leader = self.topic(topic).and_then(|topic| topic.leaders.get(partition));
            let leader = *leader.ok_or_else(|| format!("{topic} has no partition {partition}"))?;
            by_leader.entry(leader).or_default().push((topic, *partition, &batch.bytes));
        }
        for leader in by_leader.keys() {
            self.connect(*leader).await?;
        }
        let asked = self.connections.iter_mut().filter_map(|(leader, connection)| {
            let batches = by_leader.get(leader)?;
            Some(produce_to(connection, batches, oldest))
        });
        Ok(try_join_all(asked).await?.into_iter().flatten().collect())
    }

    async fn connect(&mut self, broker: i32) -> Result<(), String> {
        if !self.connections.contains_key(&broker) {
            let address = address(&self.metadata, broker)?;
            let connection = Connection::open(address, &self.access).await?;
            self.connections.insert(broker, connection);
        }
        Ok(())
    }
}

/// The connection under the number of its broker, where it is one that may lead something.
fn known(connection: Connection, metadata: &Metadata) -> BTreeMap<i32, Connection> {
    let mut brokers = metadata.brokers.iter();
    let number = brokers.find(|(_, address)| **address == connection.address());
    number.map(|(number, _)| (*number, connection)).into_iter().collect()
}

async fn produce_to(
    connection: &mut Connection,
    batches: &[Sent<'_>],
    oldest: i16,
) -> Result<Vec<Produced>, String> {
    let version = connection.version(Api::Produce, oldest, 7)?;
    let body = messages::produce(batches, REPLICAS_MS);
    let answer = connection.ask(Api::Produce, version, &body).await?;
    connection.read(messages::read_produced(&answer, version))
}

/// The first broker of a list that lets us in; the last one's word where none does.
async fn open_any(brokers: &[String], access: &Access) -> Result<Connection, String> {
    let mut failure = String::new();
    for broker in brokers {
        match Connection::open(broker, access).await {
            Ok(connection) => return Ok(connection),
            Err(message) => failure = message,
        }
    }
    Err(failure)
}

fn topics(options: &Options) -> Vec<&str> {
    let mut topics = vec![options.timeseriestopic.as_str()];
    if options.events && options.eventstopic != options.timeseriestopic {
        topics.push(&options.eventstopic);
    }
    topics
}

fn is_led(topic: &Topic) -> bool {
    topic.code == codes::NONE
        && !topic.leaders.is_empty()
        && topic.leaders.values().all(|leader| *leader >= 0)
}

/// Why waiting for leaders is of no use.
fn hopeless(metadata: &Metadata, options: &Options) -> Option<String> {
    let absent = |topic: &&Topic| {
        let soon = [codes::NONE, 5].contains(&topic.code)
            || (options.create_topics && topic.code == codes::UNKNOWN_TOPIC);
        !soon
    };
    let topic = metadata.topics.iter().find(absent)?;
    Some(format!("the topic `{}` of Kafka: {}", topic.name, codes::name(topic.code)))
}

fn address(metadata: &Metadata, broker: i32) -> Result<&str, String> {
    let address = metadata.brokers.get(&broker).map(String::as_str);
    address.ok_or_else(|| format!("the broker {broker} of Kafka has no address"))
}

/// Makes a topic. One that somebody else has just made is as good, and so is one that we may not make
/// and that the cluster makes by itself.
async fn create(
    name: &str,
    metadata: &Metadata,
    access: &Access,
    options: &Options,
) -> Result<(), String> {
    let controller = address(metadata, metadata.controller)?;
    let mut controller = Connection::open(controller, access).await?;
    let version = controller.version(Api::CreateTopics, 2, 4)?;
    let body = messages::create_topic(name, options.partitions, options.replicas, version);
    let answer = controller.ask(Api::CreateTopics, version, &body).await?;
    let (code, words) = controller.read(messages::read_created(&answer))?;
    match code {
        codes::NONE | codes::TOPIC_EXISTS => Ok(()),
        29 | 31 => {
            tracing::debug!(topic = name, code, "Kafka does not let us make the topic");
            Ok(())
        }
        _ => Err(format!("Kafka does not make the topic `{name}`: {}: {words}", codes::name(code))),
    }
}
