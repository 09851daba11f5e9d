//! Blocking queries, as Consul and Nomad have them: each answer has an index; a question with
//! `index` and `wait` is answered when the index is another one, or the time is up.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::http::{Answer, Http};

/// The server is asked to answer after this long, and adds up to a sixteenth of it.
const WAIT: Duration = Duration::from_secs(60);
/// Then it is given up.
const PATIENCE: Duration = Duration::from_secs(75);
/// Who answers "nothing new" sooner than this does not wait at all.
const NO_WAIT: Duration = Duration::from_secs(1);

/// Where a list stands.
#[derive(Debug)]
pub(in crate::discovery) struct Blocking {
    header: &'static str,
    index: u64,
}

impl Blocking {
    /// By the header with the index.
    pub(in crate::discovery) const fn new(header: &'static str) -> Self {
        Self { header, index: 1 }
    }

    /// Notes where the list in an answer stands.
    ///
    /// # Errors
    /// A sentence, when it does not say so.
    pub(in crate::discovery) fn note(&mut self, answer: &Answer) -> Result<(), String> {
        self.index = self.index_of(answer)?;
        Ok(())
    }

    /// An index of 0 would be answered at once, again and again.
    fn index_of(&self, answer: &Answer) -> Result<u64, String> {
        let index = answer.header(self.header).and_then(|index| index.parse::<u64>().ok());
        let missing = || format!("no valid answer: it has no `{}`", self.header);
        index.map(|index| index.max(1)).ok_or_else(missing)
    }

    /// Returns when the answer to this question, which has a `?`, may be another one. An index that
    /// went back, as after a server's restore, is another one too.
    ///
    /// # Errors
    /// A sentence.
    pub(in crate::discovery) async fn changed(
        &self,
        http: &Http,
        question: &str,
    ) -> Result<(), String> {
        let path = format!("{question}&index={}&wait={}s", self.index, WAIT.as_secs());
        loop {
            let asked = Instant::now();
            let no_answer = |_| format!("no answer within {} s", PATIENCE.as_secs());
            let answer = timeout(PATIENCE, http.ask(&path)).await.map_err(no_answer)??;
            if self.index_of(&answer)? != self.index {
                return Ok(());
            }
            if asked.elapsed() < NO_WAIT {
                return Err("blocking queries are answered at once".to_owned());
            }
        }
    }
}
