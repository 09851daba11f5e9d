//! A way in for benches and fuzzing: reads documents as a poll of a host does, without the host.

use super::Document;
use crate::source::{
    Layouts, PollError, Readings, Shapes, fetch::FetchError, kubelet_cadvisor::KubeletCadvisor,
    resource::Resource, summary::Summary,
};

/// Reads the documents of one host, and remembers what a host's memory does.
#[derive(Debug)]
pub struct DocumentReader {
    read: Read,
    shapes: Shapes,
    layouts: Layouts,
}

type Read = fn(&str, &str, &mut Shapes, &Layouts) -> Result<Readings, FetchError>;

impl DocumentReader {
    /// A reader of what the source of this kind polls; none for other sources.
    #[must_use]
    pub fn new(kind: &str) -> Option<Self> {
        let read: Read = match kind {
            Summary::KIND => Summary::read,
            Resource::KIND => Resource::read,
            KubeletCadvisor::KIND => KubeletCadvisor::read,
            _ => return None,
        };
        Some(Self { read, shapes: Shapes::default(), layouts: Layouts::default() })
    }

    /// The readings of a poll.
    ///
    /// # Errors
    /// When the document has another form.
    pub fn read(&mut self, text: &str) -> Result<Readings, PollError> {
        let readings = (self.read)("http://h", text, &mut self.shapes, &self.layouts);
        readings.map_err(|error| PollError(error.to_string()))
    }

    /// The readings of a summary by the general decoder alone, as if the host was new.
    ///
    /// # Errors
    /// When the document has another form.
    pub fn read_summary_generally(text: &str) -> Result<Readings, PollError> {
        Summary::read_generally(text).map_err(|error| PollError(error.to_string()))
    }

    /// Forgets what the polls before said, as if the host was new.
    pub fn forget(&mut self) {
        self.shapes = Shapes::default();
    }
}
