//! The checks of a side with their verdicts, as a table and as JSON.

use serde_json::{Value, json};

/// A check: its name, and what is right.
pub(super) type Check = (&'static str, &'static str);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Verdict {
    /// Nothing was seen of it, because the steps before it failed.
    NotReached,
    Passed,
    Failed(String),
    DoesNotApply(String),
}

impl Verdict {
    const fn word(&self) -> &'static str {
        match self {
            Self::NotReached => "not reached",
            Self::Passed => "ok",
            Self::Failed(_) => "FAILED",
            Self::DoesNotApply(_) => "does not apply",
        }
    }

    fn sentence(&self) -> &str {
        match self {
            Self::NotReached => "it could not be tried, because a check before it failed",
            Self::Passed => "",
            Self::Failed(sentence) | Self::DoesNotApply(sentence) => sentence,
        }
    }
}

/// The verdicts on one side.
#[derive(Debug)]
pub(super) struct Report {
    side: &'static str,
    checks: Vec<(Check, Verdict)>,
}

impl Report {
    /// Nothing is known yet of these checks.
    pub(super) fn new(side: &'static str, checks: &[Check]) -> Self {
        let checks = checks.iter().map(|check| (*check, Verdict::NotReached));
        Self { side, checks: checks.collect() }
    }

    /// The check was tried and nothing is wrong; a breach that was seen before stands.
    pub(super) fn pass(&mut self, name: &'static str) {
        self.settle(name, Verdict::Passed);
    }

    /// Says what is wrong. The first breach stands, for others follow from it.
    pub(super) fn fail(&mut self, name: &'static str, sentence: impl Into<String>) {
        if !self.failed(name) {
            self.set(name, Verdict::Failed(sentence.into()));
        }
    }

    /// The check makes no sense here, and why.
    pub(super) fn skip(&mut self, name: &'static str, why: &str) {
        self.settle(name, Verdict::DoesNotApply(why.to_owned()));
    }

    /// Gives a verdict where there is none.
    fn settle(&mut self, name: &'static str, verdict: Verdict) {
        if self.verdict(name) == Some(&Verdict::NotReached) {
            self.set(name, verdict);
        }
    }

    fn set(&mut self, name: &'static str, verdict: Verdict) {
        if let Some(check) = self.checks.iter_mut().find(|((known, _), _)| *known == name) {
            check.1 = verdict;
        }
    }

    fn verdict(&self, name: &'static str) -> Option<&Verdict> {
        let check = self.checks.iter().find(|((known, _), _)| *known == name);
        check.map(|(_, verdict)| verdict)
    }

    /// Whether a breach was seen.
    pub(super) fn failed(&self, name: &'static str) -> bool {
        matches!(self.verdict(name), Some(Verdict::Failed(_)))
    }

    /// Checks that failed or were not reached.
    pub(super) fn failures(&self) -> usize {
        let bad = |verdict: &Verdict| matches!(verdict, Verdict::Failed(_) | Verdict::NotReached);
        self.checks.iter().filter(|(_, verdict)| bad(verdict)).count()
    }

    pub(super) fn len(&self) -> usize {
        self.checks.len()
    }

    /// A line a check, its sentence below it.
    pub(super) fn table(&self) -> String {
        let width = self.checks.iter().map(|((name, _), _)| name.len()).max().unwrap_or_default();
        let mut text = String::new();
        for ((name, title), verdict) in &self.checks {
            text.push_str(&format!("{:14}  {name:width$}  {title}\n", verdict.word()));
            if !verdict.sentence().is_empty() {
                text.push_str(&format!("{:14}  {:width$}  -> {}\n", "", "", verdict.sentence()));
            }
        }
        let (all, bad) = (self.len(), self.failures());
        text.push_str(&format!("{}: {} of {all} checks are fine\n", self.side, all - bad));
        text
    }

    pub(super) fn json(&self) -> Value {
        let check = |((name, title), verdict): &(Check, Verdict)| {
            let verdict_name = match verdict {
                Verdict::NotReached => "not_reached",
                Verdict::Passed => "passed",
                Verdict::Failed(_) => "failed",
                Verdict::DoesNotApply(_) => "does_not_apply",
            };
            json!({
                "name": name,
                "title": title,
                "verdict": verdict_name,
                "message": verdict.sentence(),
            })
        };
        let checks: Vec<Value> = self.checks.iter().map(check).collect();
        json!({ "side": self.side, "failed": self.failures(), "checks": checks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKS: &[Check] = &[("one", "does one"), ("two", "does two"), ("three", "does three")];

    /// A breach is never covered by what comes later, and what was not tried is no success.
    #[test]
    fn the_first_breach_stands() {
        let mut report = Report::new("buddy", CHECKS);
        assert_eq!(report.failures(), 3);
        report.pass("one");
        report.fail("one", "broke");
        report.fail("one", "broke again");
        report.pass("one");
        report.skip("two", "has no second");
        assert_eq!(report.failures(), 2, "the failed one and the one not reached");
        let table = report.table();
        assert!(table.contains("FAILED          one    does one\n"), "{table}");
        assert!(table.contains("-> broke\n") && !table.contains("again"), "{table}");
        assert!(table.contains("does not apply  two") && table.contains("not reached"), "{table}");
        let json = report.json();
        assert_eq!(json["checks"][0]["message"], "broke");
        assert_eq!(json["checks"][2]["verdict"], "not_reached");
        assert_eq!(json["failed"], 2);
    }
}
