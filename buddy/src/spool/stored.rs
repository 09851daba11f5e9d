//! The part of the log that is on disk: what goes there, what is there, and what is forgotten in
//! memory because it is there.
//!
//! Nothing here reads or writes: one thread does (see `uplink/journal/keeper.rs`), asks here what
//! comes next, and says here what came of it. So a disk that hangs holds up nobody, and one that
//! refuses leaves the log as it was: in memory, within the bound of that.

use std::{path::Path, sync::Arc};

use super::{
    LogFrame, Prelude, Segment, SegmentId, Spool, StoredFile,
    disk::{Scanned, marks::Mark},
};

/// A file of this size, or as large as what it begins with, is followed by the next.
const ROLL_BYTES: usize = 8 << 20;
/// Frames that are in a file and were not sent yet stay in memory up to this.
const TAIL_BYTES: usize = 8 << 20;
/// So much is given out to be written at once.
const APPEND_BYTES: usize = 1 << 20;
/// The first number of segments that earlier starts left.
const FIRST_FOUND: i64 = i64::MIN / 2;

/// The disk as the log sees it.
#[derive(Debug)]
pub(super) struct Disk {
    /// Whether it takes what is written.
    is_up: bool,
    /// What all files may have together.
    room: usize,
    /// Files that are not needed any more.
    pub(super) trash: Vec<Arc<Path>>,
    last_found: i64,
}

/// What is to be written next.
#[derive(Debug)]
pub struct Append {
    /// To the file of this segment.
    pub segment: SegmentId,
    /// Which is there already, or has to be begun.
    pub to: AppendTo,
    /// In order, maybe none.
    pub frames: Vec<LogFrame>,
}

/// Where frames are to go.
#[derive(Debug)]
pub enum AppendTo {
    /// To the end of this.
    File(StoredFile),
    /// To a new file.
    New(NewFile),
}

/// What a new file begins with.
#[derive(Debug)]
pub struct NewFile {
    /// The start of the buddy that wrote the segment, and its number there.
    pub instance: Arc<str>,
    /// See `instance`.
    pub number: u64,
    /// What its Open says was delivered.
    pub delivered_through: u64,
    /// The file whose definitions it has too.
    pub definitions_of: Option<StoredFile>,
    /// What comes after those.
    pub prelude: Arc<Prelude>,
    /// Frames that were let go of before.
    pub let_go: usize,
}

impl Spool {
    /// Makes this a log on disk, once the disk is there.
    pub fn use_disk(&mut self, most_bytes: usize) {
        let trash = Vec::new();
        self.disk = Some(Disk { is_up: false, room: most_bytes, trash, last_found: FIRST_FOUND });
    }

    /// Whether the disk takes what is written, as it seems now. When it does again, what was kept in
    /// memory ends there.
    pub fn set_disk_up(&mut self, is_up: bool) {
        let Some(disk) = &mut self.disk else { return };
        let was_up = std::mem::replace(&mut disk.is_up, is_up);
        if is_up && !was_up && self.open().is_some_and(|open| !open.is_on_disk()) {
            self.close();
        }
    }

    /// What all files may have together, from now on.
    pub fn set_disk_room(&mut self, bytes: usize) {
        if let Some(disk) = &mut self.disk {
            disk.room = bytes;
            self.keep_within_bound();
        }
    }

    /// Whether a segment that is begun now goes to disk: it is there, and keeps up.
    #[must_use]
    pub fn takes_disk(&self) -> bool {
        let behind = || self.unstored_bytes() > self.most_bytes / 8;
        self.disk.as_ref().is_some_and(|disk| disk.is_up) && !behind()
    }

    /// Whether the disk is there and does not keep up, so that what is written is kept in memory.
    #[must_use]
    pub fn is_disk_behind(&self) -> bool {
        let is_in_memory = self.open().is_some_and(|open| !open.is_on_disk());
        is_in_memory && self.disk.as_ref().is_some_and(|disk| disk.is_up)
    }

    /// What memory may hold.
    #[must_use]
    pub const fn most_memory_bytes(&self) -> usize {
        self.most_bytes
    }

    /// What is to be written and was not yet.
    #[must_use]
    pub fn unstored_bytes(&self) -> usize {
        self.segments.iter().flat_map(Segment::unstored).map(LogFrame::size).sum()
    }

    /// Frames that are not settled: in files, and in memory alone.
    #[must_use]
    pub fn unsettled_by_place(&self) -> (usize, usize) {
        self.segments.iter().fold((0, 0), |(stored, lost), segment| {
            let in_memory = segment.unsettled_in_memory();
            (stored + segment.unsettled() - in_memory, lost + in_memory)
        })
    }

    /// Bytes of all files.
    #[must_use]
    pub fn disk_bytes(&self) -> usize {
        let bytes: u64 = self.segments.iter().map(Segment::disk_bytes).sum();
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// What the log may hold: on disk where it is there.
    pub(super) fn room(&self) -> usize {
        let disk = self.disk.as_ref().filter(|disk| disk.is_up);
        disk.map_or(self.most_bytes, |disk| disk.room)
    }

    pub(super) fn is_disk_rotation_due(&self, open: &Segment) -> bool {
        let is_up = self.disk.as_ref().is_some_and(|disk| disk.is_up);
        let is_behind = open.unstored().map(LogFrame::size).sum::<usize>() > self.most_bytes / 4;
        let is_large = open.data_bytes() >= 4 * self.roll_bytes(open)
            || open.disk_bytes() >= self.room() as u64 / 2;
        open.is_on_disk() != self.takes_disk() && (!open.is_on_disk() || is_behind || !is_up)
            || open.is_on_disk() && is_large
    }

    /// Whether the open segment's file is so large that the next one is to be begun, with as little
    /// as that takes: its data outgrow what they build on.
    #[must_use]
    pub fn is_roll_due(&self) -> bool {
        let open = self.open().filter(|open| open.file().is_some());
        open.is_some_and(|open| self.takes_disk() && open.data_bytes() >= self.roll_bytes(open))
    }

    fn roll_bytes(&self, open: &Segment) -> usize {
        let head = open.file().map_or(0, |file| file.head - file.first);
        let base = open.definition_bytes() + usize::try_from(head).unwrap_or(usize::MAX);
        base.max(ROLL_BYTES.min(self.room() / 16))
    }

    /// Goes on in the next segment with the definitions of the open one, and with these frames in
    /// place of all rows so far.
    pub fn roll(&mut self, checkpoint: Vec<LogFrame>) {
        let Some(open) = self.segments.back_mut().filter(|segment| !segment.is_closed()) else {
            return;
        };
        open.close();
        let before = open.id();
        self.last_id += 1;
        self.last_number += 1;
        let (id, instance) = (SegmentId(self.last_id), Arc::clone(&self.instance));
        let next = Segment::new(id, instance, self.last_number, true);
        self.segments.push_back(next.continuing(before, checkpoint));
        self.free_settled();
        self.keep_within_bound();
    }

    /// What is to be written next: the oldest that is not in its file.
    pub fn next_append(&mut self) -> Option<Append> {
        self.disk.as_ref()?;
        let place = (0..self.segments.len()).find(|place| self.wants_append(*place))?;
        let before = place.checked_sub(1).and_then(|before| self.segments.get(before));
        let definitions_of = before.and_then(Segment::file).cloned();
        let segment = self.segments.get_mut(place)?;
        segment.send_to_disk();
        let to = match segment.file() {
            Some(file) => AppendTo::File(file.clone()),
            None => AppendTo::New(NewFile {
                instance: Arc::clone(segment.instance()),
                number: segment.number(),
                delivered_through: segment.delivered_through(),
                definitions_of: definitions_of.filter(|_| segment.needs().is_some()),
                prelude: segment.prelude_to_store(),
                let_go: segment.let_go(),
            }),
        };
        let mut bytes = 0;
        let fits = |frame: &&LogFrame| {
            bytes += frame.size();
            bytes <= APPEND_BYTES || bytes == frame.size()
        };
        let frames = segment.unstored().take_while(fits).cloned().collect();
        Some(Append { segment: segment.id(), to, frames })
    }

    /// Whether there is something of it to write. What was kept in memory goes to disk when nothing
    /// is added to it any more.
    fn wants_append(&self, place: usize) -> bool {
        let Some(segment) = self.segments.get(place) else { return false };
        if !segment.is_on_disk() {
            return segment.is_closed() && segment.unsettled() > 0;
        }
        let has_file = segment.file().is_some();
        segment.unstored().next().is_some() || !has_file && segment.needs().is_some()
    }

    /// Frames of a segment are in its file now. `false` where the segment is gone meanwhile, and the
    /// file is not wanted.
    pub fn note_stored(&mut self, id: SegmentId, file: StoredFile) -> bool {
        let Some(segment) = self.segment_mut(id) else { return false };
        segment.set_file(file);
        self.free_settled();
        self.keep_within_bound();
        true
    }

    /// Forgets in memory what is on disk, but what the live stream has still to send of it: it is at
    /// this frame of this segment. Where that is much, it reads it from disk.
    pub fn evict(&mut self, live: Option<(SegmentId, usize)>) {
        for segment in &mut self.segments {
            match live {
                Some((id, next)) if id == segment.id() => segment.evict(next),
                Some((id, _)) if id < segment.id() => {}
                _ => segment.evict(usize::MAX),
            }
        }
        let stored = |segment: &Segment| segment.frame_bytes() > 0 && segment.is_on_disk();
        let held = self.segments.iter().filter(|segment| stored(segment));
        let held: usize = held.map(Segment::frame_bytes).sum();
        if held > TAIL_BYTES.min(self.most_bytes / 4) {
            self.evict_all();
        }
    }

    /// Forgets frames in memory that are on disk and were sent.
    pub fn evict_sent(&mut self, id: SegmentId, until: usize) {
        if let Some(segment) = self.segment_mut(id).filter(|segment| segment.file().is_some()) {
            segment.evict(until);
        }
    }

    pub(super) fn evict_all(&mut self) {
        self.segments.iter_mut().for_each(|segment| segment.evict(usize::MAX));
    }

    /// Takes over segments that earlier starts left, each with its instance and its number there.
    /// Answers for how many frames they wait.
    pub fn take_found(&mut self, found: Vec<(Arc<str>, u64, Option<u64>, Scanned)>) -> usize {
        let Some(disk) = &mut self.disk else { return 0 };
        let mut frames = 0;
        for (instance, number, delivered_through, scanned) in found {
            disk.last_found += 1;
            let id = SegmentId(disk.last_found);
            let mut segment = Segment::new(id, instance, number, true).found(scanned);
            if let Some(through) = delivered_through {
                segment.settle(&(0..=through), super::Fate::Settled);
            }
            frames += segment.unsettled();
            let place = self.segments.partition_point(|known| known.id() < id);
            self.segments.insert(place, segment);
        }
        self.free_settled();
        self.keep_within_bound();
        frames
    }

    /// Whether this is the file of a segment.
    #[must_use]
    pub fn has_file(&self, path: &Path) -> bool {
        let mut files = self.segments.iter().filter_map(Segment::file);
        files.any(|file| &*file.path == path)
    }

    /// The files are gone from disk: what they had is lost, but for what is still in memory of a
    /// segment that was not begun on disk. Answers how many frames that are.
    pub fn lose_files(&mut self, is_lost: impl Fn(&Path) -> bool) -> usize {
        let mut frames = 0;
        let mut place = 0;
        while let Some(segment) = self.segments.get(place) {
            let before = place.checked_sub(1).map(|before| self.segments[before].id());
            let is_orphan = segment.needs().is_some() && segment.needs() != before;
            if is_orphan || segment.file().is_some_and(|file| is_lost(&file.path)) {
                frames += segment.unsettled();
                self.segments.remove(place);
            } else {
                place += 1;
            }
        }
        self.dropped_frames += frames as u64;
        frames
    }

    /// Files to be removed.
    pub fn take_trash(&mut self) -> Vec<Arc<Path>> {
        self.disk.as_mut().map(|disk| std::mem::take(&mut disk.trash)).unwrap_or_default()
    }

    /// What is settled of segments that are on disk and not settled as a whole.
    pub(crate) fn marks(&self) -> Vec<Mark> {
        let begun = self.segments.iter().filter(|segment| {
            segment.file().is_some() && segment.delivered_through() > segment.prelude_through()
        });
        let mark = |segment: &Segment| Mark {
            instance: segment.instance().to_string(),
            number: segment.number(),
            through: segment.delivered_through(),
        };
        begun.map(mark).collect()
    }
}
