//! What of everything is asked for.

use std::time::Duration;

use heapster_shared::{entity::Level, units::parse_duration};
use serde::Deserialize;

use crate::{core::model::NewestRow, http::error::ApiError};

/// The parameters, and what each is for.
pub(in crate::http) const PARAMETERS: &[(&str, &str)] = &[
    ("cluster", "Only this cluster"),
    ("namespace", "Only this namespace and what is in it"),
    (
        "level",
        "Only these, separated by commas: cluster, ns, node, pod, pod_container, sys_container",
    ),
    ("timestamps", "`false` leaves the times of samples out"),
    ("max_age", "Leave out what has no newer row than this, like 45s; three ticks by default"),
];

/// The parameters as they came.
#[derive(Debug, Default, Deserialize)]
pub(in crate::http) struct Query {
    cluster: Option<String>,
    namespace: Option<String>,
    level: Option<String>,
    timestamps: Option<bool>,
    max_age: Option<String>,
}

/// What they ask for.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) cluster: Option<String>,
    namespace: Option<String>,
    /// Empty for all.
    levels: Vec<Level>,
    pub(super) timestamps: bool,
    pub(super) max_age_ms: i64,
}

const LEVELS: [Level; 6] = [
    Level::Cluster,
    Level::Namespace,
    Level::Node,
    Level::Pod,
    Level::PodContainer,
    Level::SysContainer,
];

impl Query {
    pub(super) fn chosen(&self, oldest_age: Duration) -> Result<Chosen, ApiError> {
        let words = self.level.iter().flat_map(|levels| levels.split(','));
        let levels = words.map(str::trim).filter(|word| !word.is_empty()).map(level);
        let max_age = match &self.max_age {
            Some(text) => parse_duration(text)
                .map_err(|error| ApiError::bad_request(format!("max_age: {error}")))?,
            None => oldest_age,
        };
        Ok(Chosen {
            cluster: self.cluster.clone(),
            namespace: self.namespace.clone(),
            levels: levels.collect::<Result<_, _>>()?,
            timestamps: self.timestamps.unwrap_or(true),
            max_age_ms: i64::try_from(max_age.as_millis()).unwrap_or(i64::MAX),
        })
    }
}

fn level(word: &str) -> Result<Level, ApiError> {
    LEVELS.into_iter().find(|level| level.label() == word).ok_or_else(|| {
        let known = LEVELS.map(Level::label).join(", ");
        ApiError::bad_request(format!("level: there is no `{word}`; there are {known}"))
    })
}

impl Chosen {
    /// Whether a row is asked for.
    pub(super) fn has(&self, row: &NewestRow, since_ms: i64) -> bool {
        let namespace = self.namespace.as_deref();
        row.time_ms >= since_ms
            && (self.levels.is_empty() || self.levels.contains(&row.entity.level))
            && (namespace.is_none() || row.entity.namespace() == namespace)
    }
}
