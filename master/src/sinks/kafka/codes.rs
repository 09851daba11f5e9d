//! The codes of errors in answers, and what they mean for a batch.

/// No error.
pub(super) const NONE: i16 = 0;
/// There is no such topic or partition.
pub(super) const UNKNOWN_TOPIC: i16 = 3;
/// A batch is larger than the topic allows.
pub(super) const MESSAGE_TOO_LARGE: i16 = 10;
/// So is one of several.
pub(super) const RECORD_LIST_TOO_LARGE: i16 = 18;
/// Somebody has made the topic already.
pub(super) const TOPIC_EXISTS: i16 = 36;

/// What a code means for a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    Taken,
    /// The broker wants smaller ones.
    TooLarge,
    /// It is wrong in itself.
    Refused,
    /// All else may pass, or be put right.
    NotNow,
}

/// What a code means for a batch.
pub(super) const fn meaning(code: i16) -> Meaning {
    match code {
        NONE => Meaning::Taken,
        MESSAGE_TOO_LARGE | RECORD_LIST_TOO_LARGE => Meaning::TooLarge,
        // Times out of the topic's bounds, a broken policy, and records that are none.
        32 | 44 | 87 => Meaning::Refused,
        _ => Meaning::NotNow,
    }
}

/// The code as Kafka calls it, of those that a producer may see, with advice.
pub(super) fn name(code: i16) -> String {
    let known = match code {
        0 => "no error",
        2 => "CORRUPT_MESSAGE",
        3 => "UNKNOWN_TOPIC_OR_PARTITION; make the topic, or let us with create_topics=true",
        5 => "LEADER_NOT_AVAILABLE",
        6 => "NOT_LEADER_OR_FOLLOWER",
        7 => "REQUEST_TIMED_OUT",
        10 => "MESSAGE_TOO_LARGE",
        17 => "INVALID_TOPIC_EXCEPTION",
        18 => "RECORD_LIST_TOO_LARGE",
        19 => "NOT_ENOUGH_REPLICAS",
        20 => "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        29 => "TOPIC_AUTHORIZATION_FAILED; let the user write to the topic",
        31 => "CLUSTER_AUTHORIZATION_FAILED",
        32 => "INVALID_TIMESTAMP",
        33 => "UNSUPPORTED_SASL_MECHANISM",
        34 => "ILLEGAL_SASL_STATE; the broker wants a login: give user and password",
        35 => "UNSUPPORTED_VERSION",
        37 => "INVALID_PARTITIONS",
        38 => "INVALID_REPLICATION_FACTOR",
        44 => "POLICY_VIOLATION",
        56 => "KAFKA_STORAGE_ERROR",
        58 => "SASL_AUTHENTICATION_FAILED",
        76 => "UNSUPPORTED_COMPRESSION_TYPE; choose another compression",
        87 => "INVALID_RECORD",
        _ => return format!("error {code}"),
    };
    known.to_owned()
}
