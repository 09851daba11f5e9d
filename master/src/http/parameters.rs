//! Parameters of the model API.

use serde::Deserialize;

use super::error::ApiError;
use crate::core::model::Range;

/// The parameters as they came.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    /// The first time, RFC 3339.
    #[serde(default)]
    pub(super) start: String,
    /// The last time, RFC 3339.
    #[serde(default)]
    pub(super) end: String,
    /// `name:value,name:value`.
    #[serde(default)]
    pub(super) labels: String,
    /// The cluster.
    pub(super) cluster: Option<String>,
}

impl Parameters {
    /// The span of time; open at an end that is not given.
    pub(super) fn range(&self) -> Result<Range, ApiError> {
        let open = Range::default();
        let range = Range {
            start_ms: time("start", &self.start)?.unwrap_or(open.start_ms),
            end_ms: time("end", &self.end)?.unwrap_or(open.end_ms),
        };
        if range.start_ms > range.end_ms {
            return Err(ApiError::bad_request("start lies after end: turn them round"));
        }
        Ok(range)
    }

    /// Names and values of labels.
    pub(super) fn labels(&self) -> Result<Vec<(String, String)>, ApiError> {
        let pairs = self.labels.split(',').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                let (name, value) = pair.split_once(':').ok_or_else(|| {
                    ApiError::bad_request(format!(
                        "labels: `{pair}` has no colon: write name:value,name:value"
                    ))
                })?;
                Ok((name.to_owned(), value.to_owned()))
            })
            .collect()
    }
}

fn time(name: &str, text: &str) -> Result<Option<i64>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    // A plus sign that was not encoded has become a space.
    let parsed = text.replace(' ', "+").parse::<jiff::Timestamp>();
    parsed.map(|time| Some(time.as_millisecond())).map_err(|_| {
        ApiError::bad_request(format!(
            "{name}: `{text}` is no time: write it as RFC 3339 has it, like 2026-11-22T11:00:00Z"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        let range = |start: &str, end: &str| {
            let (start, end) = (start.into(), end.into());
            Parameters { start, end, ..Parameters::default() }
                .range()
                .map_err(|error| error.to_string())
        };
        let hour = range("2026-11-22T11:00:00Z", "2026-11-22T13:00:00 01:00").unwrap();
        assert_eq!(hour, Range { start_ms: 1_795_345_200_000, end_ms: 1_795_348_800_000 });
        assert_eq!(range("", "").unwrap(), Range::default());
        assert_eq!(
            range("", "yesterday").unwrap_err(),
            "end: `yesterday` is no time: write it as RFC 3339 has it, like 2026-11-22T11:00:00Z"
        );
        assert!(range("2026-11-22T11:00:01Z", "2026-11-22T11:00:00Z").is_err());
    }

    #[test]
    fn a_value_may_have_colons() {
        let labels = |text: &str| {
            Parameters { labels: text.into(), ..Parameters::default() }.labels().map_err(|_| ())
        };
        let volume = [("resource_id".to_owned(), "Volume:data".to_owned())];
        assert_eq!(labels("resource_id:Volume:data,").unwrap(), volume);
        assert_eq!(labels("resource_id"), Err(()));
    }
}
