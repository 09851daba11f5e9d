//! Requests counted, and requests that a test makes fail.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::respond::Failure;

/// Requests of which the target is kept.
const KEPT_REQUESTS: usize = 10_000;

/// How a request fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// 429, with `Retry-After` in whole seconds.
    TooManyRequests {
        /// When to try again.
        retry_after: Duration,
    },
    /// Another status, such as 500, 503 or 410.
    Status(u16),
    /// No answer at all: the connection stays open.
    Hang,
    /// The connection is closed instead of an answer.
    Close,
}

impl Fault {
    /// What is answered, where anything is.
    pub(super) fn failure(self) -> Option<Failure> {
        match self {
            Self::TooManyRequests { retry_after } => {
                Some(Failure::too_many_requests(retry_after.as_secs()))
            }
            Self::Status(code) => Some(Failure::of_code(code)),
            Self::Hang | Self::Close => None,
        }
    }
}

#[derive(Debug)]
struct Rule {
    /// The label of the requests, or `*`.
    requests: String,
    fault: Fault,
    /// How many more; `None` for all.
    left: Option<usize>,
}

/// What came and what is to fail.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    counts: BTreeMap<String, usize>,
    targets: VecDeque<String>,
    rules: Vec<Rule>,
}

impl Traffic {
    /// Counts a request and says how it is to fail.
    pub(super) fn note(&mut self, label: &str, target: &str) -> Option<Fault> {
        *self.counts.entry(label.to_owned()).or_default() += 1;
        self.targets.push_back(target.to_owned());
        if self.targets.len() > KEPT_REQUESTS {
            self.targets.pop_front();
        }
        let concerns = |rule: &&mut Rule| {
            (rule.requests == "*" || rule.requests == label) && rule.left != Some(0)
        };
        let rule = self.rules.iter_mut().find(concerns)?;
        if let Some(left) = &mut rule.left {
            *left -= 1;
        }
        Some(rule.fault)
    }

    pub(super) fn add(&mut self, requests: &str, fault: Fault, times: Option<usize>) {
        self.rules.push(Rule { requests: requests.to_owned(), fault, left: times });
    }

    pub(super) fn heal(&mut self) {
        self.rules.clear();
    }

    pub(super) fn count(&self, label: &str) -> usize {
        self.counts.get(label).copied().unwrap_or(0)
    }

    /// Requests of every kind.
    pub(super) fn counts(&self) -> &BTreeMap<String, usize> {
        &self.counts
    }

    pub(super) fn targets(&self) -> Vec<String> {
        self.targets.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_fail_as_often_as_asked() {
        let mut traffic = Traffic::default();
        traffic.add("list pods", Fault::Status(500), Some(2));
        assert_eq!(traffic.note("list nodes", "/"), None);
        assert_eq!(traffic.note("list pods", "/"), Some(Fault::Status(500)));
        assert_eq!(traffic.note("list pods", "/"), Some(Fault::Status(500)));
        assert_eq!(traffic.note("list pods", "/"), None);
        assert_eq!(traffic.count("list pods"), 3);
        traffic.add("*", Fault::Hang, None);
        assert_eq!(traffic.note("get /version", "/version"), Some(Fault::Hang));
        traffic.heal();
        assert_eq!(traffic.note("get /version", "/version"), None);
    }
}
