//! Makes sure that the database or bucket is there, and keeps samples for as long as asked.
//!
//! An account that may write but not create is common: being forbidden to look or to create is no
//! failure here. If the store is not there, the write says so.

use std::time::Duration;

use influxdb2::models::{
    Buckets, Organizations, PostBucketRequest, RetentionRule, retention_rule::Type,
};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};

use super::{client::Client, options::Store};
use crate::sinks::SinkError;

/// Creates what is absent.
pub(super) async fn prepare(client: &Client) -> Result<(), SinkError> {
    match &client.target.store {
        Store::Database(name) => prepare_database(client, name).await,
        Store::Bucket { org, bucket } => prepare_bucket(client, org, bucket).await,
    }
}

/// An answer to InfluxQL: a table for each statement.
#[derive(Deserialize)]
struct QueryAnswer {
    #[serde(default)]
    results: Vec<QueryResult>,
}

#[derive(Deserialize)]
struct QueryResult {
    #[serde(default)]
    series: Vec<Series>,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    values: Vec<Vec<serde_json::Value>>,
}

async fn prepare_database(client: &Client, name: &str) -> Result<(), SinkError> {
    let database = identifier(name);
    query(client, &format!("CREATE DATABASE {database}")).await?;
    let Some(retention) = client.target.retention else {
        return Ok(());
    };
    // The default policy is the one that writes and queries use when they name none. It is changed
    // rather than replaced by another, so that what was written before stays in sight.
    let policies = query(client, &format!("SHOW RETENTION POLICIES ON {database}")).await?;
    let Some(policy) = policies.as_ref().and_then(default_policy) else {
        return Ok(());
    };
    let statement = format!(
        "ALTER RETENTION POLICY {} ON {database} DURATION {}s SHARD DURATION {}s DEFAULT",
        identifier(policy),
        retention.as_secs(),
        shard_duration(retention).as_secs()
    );
    query(client, &statement).await.map(drop)
}

/// The length of shards that InfluxDB itself chooses for a new policy. Data goes a shard at a
/// time, so a long shard would outlive a short retention.
fn shard_duration(retention: Duration) -> Duration {
    const HOUR: u64 = 3600;
    let hours = match retention.as_secs() / HOUR {
        0..48 => 1,
        48..4320 => 24,
        _ => 168,
    };
    Duration::from_secs(hours * HOUR)
}

/// The name of the policy whose column `default` says true.
fn default_policy(answer: &QueryAnswer) -> Option<&str> {
    let series = answer.results.first()?.series.first()?;
    let column = |name| series.columns.iter().position(|column| column == name);
    let (name, is_default) = (column("name")?, column("default")?);
    let row = series.values.iter().find(|row| row.get(is_default) == Some(&true.into()))?;
    row.get(name)?.as_str()
}

/// Runs a statement; `None` when the account may not, or the peer has no such API.
async fn query(client: &Client, statement: &str) -> Result<Option<QueryAnswer>, SinkError> {
    let request = client.request(Method::POST, "/query")?.query(&[("q", statement)]);
    let Some(answer) = ask::<QueryAnswer>(client, request).await? else {
        return Ok(None);
    };
    match answer.results.iter().find(|result| !result.error.is_empty()) {
        Some(result) => {
            let place = client.target.place();
            let message = format!("{place} does not do `{statement}`: {}", result.error);
            Err(SinkError::Transient { message, retry_after: None })
        }
        None => Ok(Some(answer)),
    }
}

async fn prepare_bucket(client: &Client, org: &str, bucket: &str) -> Result<(), SinkError> {
    let request = client.request(Method::GET, "/api/v2/buckets")?.query(&[("name", bucket)]);
    let request = if org.is_empty() { request } else { request.query(&[("org", org)]) };
    let found = ask::<Buckets>(client, request).await?;
    if found.is_some_and(|found| !found.buckets.is_empty()) {
        return Ok(());
    }
    // An absent bucket is an empty list or a 404. A token that may not look cannot create either,
    // and is told so without harm.
    create_bucket(client, org, bucket).await
}

async fn create_bucket(client: &Client, org: &str, bucket: &str) -> Result<(), SinkError> {
    let request = client.request(Method::GET, "/api/v2/orgs")?;
    let request = if org.is_empty() { request } else { request.query(&[("org", org)]) };
    let found = ask::<Organizations>(client, request).await?.unwrap_or_default();
    let Some(id) = found.orgs.into_iter().next().and_then(|org| org.id) else {
        // The write says what is missing.
        return Ok(());
    };
    let mut wanted = PostBucketRequest::new(id, bucket.to_owned());
    if let Some(retention) = client.target.retention {
        let seconds = i32::try_from(retention.as_secs()).unwrap_or(i32::MAX);
        wanted.retention_rules = vec![RetentionRule::new(Type::Expire, seconds)];
    }
    let request = client.request(Method::POST, "/api/v2/buckets")?.json(&wanted);
    ask::<serde_json::Value>(client, request).await.map(drop)
}

/// Sends a request whose answer is JSON; `None` when the account may not ask that, or the peer has
/// no such API.
async fn ask<T: DeserializeOwned>(
    client: &Client,
    request: reqwest::RequestBuilder,
) -> Result<Option<T>, SinkError> {
    let answer = client.send(request).await?;
    match answer.status {
        status if status.is_success() => Ok(serde_json::from_slice(&answer.body).ok()),
        StatusCode::BAD_REQUEST
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::CONFLICT
        | StatusCode::UNPROCESSABLE_ENTITY => {
            tracing::debug!(
                peer = %client.target.place(),
                store = %client.target.store(),
                status = %answer.status,
                says = %answer.says,
                "the database does not let us look for the store, or create it"
            );
            Ok(None)
        }
        _ => Err(client.failure(&answer)),
    }
}

/// A name in InfluxQL.
fn identifier(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        assert_eq!(identifier("k8s"), "\"k8s\"");
        assert_eq!(identifier("a\"; DROP DATABASE b\\"), "\"a\\\"; DROP DATABASE b\\\\\"");
    }

    #[test]
    fn the_default_policy_is_found_by_its_column() {
        let answer: QueryAnswer = serde_json::from_str(
            r#"{"results":[{"series":[{"columns":["name","duration","default"],
               "values":[["autogen","0s",false],["default","0s",true]]}]}]}"#,
        )
        .unwrap();
        assert_eq!(default_policy(&answer), Some("default"));
        let none: QueryAnswer = serde_json::from_str(r#"{"results":[{}]}"#).unwrap();
        assert_eq!(default_policy(&none), None);
    }

    #[test]
    fn short_retention_has_short_shards() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!(shard_duration(hours(24)), hours(1));
        assert_eq!(shard_duration(hours(24 * 30)), hours(24));
        assert_eq!(shard_duration(hours(24 * 365)), hours(168));
    }
}
