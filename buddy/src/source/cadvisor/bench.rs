//! A way in for benches and fuzzing: reads answers as a poll of a host does, without the host.

use super::{
    answer::Machine,
    api::{Answers, Api},
    facts::Facts,
    known::Known,
};
use crate::source::{Layouts, PollError, Readings, Shapes};

/// Reads the answers of one host, and remembers what a host's memory does.
#[derive(Debug)]
pub struct AnswerReader {
    facts: Facts,
    shapes: Shapes<Known>,
    layouts: Layouts,
}

impl AnswerReader {
    /// A reader for a host whose answer to `/api/v2.1/machine` this is.
    ///
    /// # Errors
    /// When the answer has another form.
    pub fn new(machine: &str) -> Result<Self, PollError> {
        let machine: Machine<'_> = serde_json::from_str(machine)
            .map_err(|error| PollError(format!("the machine is not as expected: {error}")))?;
        let facts = Facts::new(&machine, 0);
        Ok(Self { facts, shapes: Shapes::default(), layouts: Layouts::default() })
    }

    /// The readings of a poll: the answers of v2.1 to `stats` and `machinestats`.
    ///
    /// # Errors
    /// When an answer has another form.
    pub fn read(&mut self, stats: String, machine_stats: String) -> Result<Readings, PollError> {
        let answers = Answers::given(Api::V2_1, stats, machine_stats);
        let readings = answers.read(&self.facts, &mut self.shapes, &self.layouts);
        readings.map_err(|error| PollError(error.to_string()))
    }

    /// The readings of the same answers by the general decoder alone, as if the host was new.
    ///
    /// # Errors
    /// As [`AnswerReader::read`].
    pub fn read_generally(
        &self,
        stats: String,
        machine_stats: String,
    ) -> Result<Readings, PollError> {
        let readings = Answers::given(Api::V2_1, stats, machine_stats).read_generally(&self.facts);
        readings.map_err(|error| PollError(error.to_string()))
    }

    /// The readings of a poll of an older API: the answers of v2.0 to `stats` and `spec`.
    ///
    /// # Errors
    /// As [`AnswerReader::read`].
    pub fn read_v2_0(&mut self, stats: String, specs: String) -> Result<Readings, PollError> {
        self.read_older(&Answers::given(Api::V2_0, stats, specs))
    }

    /// The readings of a poll of the oldest API: the answer of v1.3 to `subcontainers`.
    ///
    /// # Errors
    /// As [`AnswerReader::read`].
    pub fn read_v1(&mut self, containers: String) -> Result<Readings, PollError> {
        self.read_older(&Answers::given(Api::V1_3, containers, String::new()))
    }

    fn read_older(&mut self, answers: &Answers) -> Result<Readings, PollError> {
        let readings = answers.read(&self.facts, &mut self.shapes, &self.layouts);
        readings.map_err(|error| PollError(error.to_string()))
    }

    /// Forgets what the polls before said, as if the host was new.
    pub fn forget(&mut self) {
        self.shapes = Shapes::default();
    }
}
