//! Checkpoints: the newest row of each entity as it is, in place of all rows so far.
//!
//! A segment is replayed from its start because its rows are differences to rows before. Where a
//! checkpoint goes in their place, the rows before it need not be kept: a reader that has read the
//! definitions and the checkpoint can read on. Its frames have the numbers of the last frames that
//! they stand for, which were delivered, so a master neither routes nor answers them.

use heapster_proto::v1::block::Form;

use super::{
    Encoded, HEAD_BYTES, SegmentWriter, begin_batch, most_bytes_of_row, rows::RowsOfForm,
    wire::BlockEncoder,
};

impl SegmentWriter {
    /// The newest rows as frames, of which the last has this number; none where the numbers up to
    /// it are too few.
    #[must_use]
    pub fn checkpoint(&self, last_sequence: u64) -> Option<Vec<Encoded>> {
        let batches = self.checkpoint_batches();
        let before = last_sequence.checked_sub(batches.len() as u64)?;
        let frames = (before + 1..).zip(batches);
        Some(frames.map(|(sequence, batch)| Encoded::batch(sequence, &batch)).collect())
    }

    fn checkpoint_batches(&self) -> Vec<Vec<u8>> {
        let mut encoder = BlockEncoder::default();
        let mut rows = RowsOfForm::new(Form::Absolute);
        let (mut batches, mut batch) = (Vec::new(), Vec::new());
        begin_batch(&mut batch, self.last_tick);
        let empty = batch.len();
        for (id, newest) in (1..).zip(&self.newest) {
            let row_bytes = most_bytes_of_row(newest.fields().len());
            let mut first = 0;
            while first < newest.places() {
                let room =
                    |batch: &[u8]| self.limits.frame_bytes.saturating_sub(batch.len() + HEAD_BYTES);
                if room(&batch) < row_bytes && batch.len() > empty {
                    batches.push(batch.clone());
                    begin_batch(&mut batch, self.last_tick);
                }
                let count = (room(&batch) / row_bytes).clamp(1, newest.places() - first);
                rows.clear();
                newest.copy_to(&mut rows, first..first + count);
                encoder.put(&mut batch, id, newest.fields(), &rows);
                first += count;
            }
        }
        if batch.len() > empty {
            batches.push(batch);
        }
        batches
    }
}
