//! Records the readings of one poll, with what is remembered of the poll before.

use std::sync::Arc;

use heapster_shared::{
    entity::{Labels, Level},
    row::Cell,
    schema::{Field, Metric, MetricDef, MetricId},
    tag,
};

use super::{
    Layouts, Readings,
    shapes::{Shape, Shapes},
};
use crate::source::Subject;

/// More fields than this no reading has; what comes after them is left out.
const MOST_FIELDS: usize = 4096;

/// Records the readings of one poll.
///
/// For each thing: [`begin`](Self::begin), then its fields, always in the same order, then
/// [`end`](Self::end).
#[derive(Debug)]
pub struct Recorder<'s, N = ()> {
    shapes: &'s mut Shapes<N>,
    layouts: &'s Layouts,
    readings: Readings,
    cells: Vec<Cell>,
    /// The thing in hand.
    place: usize,
    /// Where the next one is expected.
    next: usize,
    seen: usize,
    /// Whether all so far is as in the poll before.
    settled: bool,
    /// The fields so far, where they are no longer those of the layout before.
    fields: Option<Vec<Field>>,
    /// See [`Reading::given_cpu_nanocores`](super::Reading::given_cpu_nanocores).
    given_cpu_nanocores: Option<u64>,
}

/// What is remembered of a thing before it is read.
#[derive(Debug)]
pub struct Recalled<'r, N> {
    /// What it followed from in the poll before.
    pub fingerprint: u64,
    /// What was noted then.
    pub note: &'r N,
    /// Whether the same things were read in the same order up to here, all with the fingerprints of
    /// the poll before: what follows from those in front is the same then.
    pub settled: bool,
}

impl<'s, N: Clone> Recorder<'s, N> {
    /// A recorder of the next poll of the host whose shapes these are.
    pub fn new(shapes: &'s mut Shapes<N>, layouts: &'s Layouts) -> Self {
        if !shapes.whole {
            // A host that breaks off each time, after other names each time, adds up to nothing.
            shapes.settle(2);
        }
        shapes.round = shapes.round.wrapping_add(1);
        let settled = std::mem::replace(&mut shapes.whole, false);
        let readings = Readings::with_room(shapes.len(), shapes.cells as usize);
        Self {
            shapes,
            layouts,
            readings,
            cells: Vec::with_capacity(32),
            place: 0,
            next: 0,
            seen: 0,
            settled,
            fields: None,
            given_cpu_nanocores: None,
        }
    }

    /// Begins the reading of the thing that the host calls by this key, and says what is noted of
    /// it. While the fingerprint (of whatever the subject follows from) is that of the poll before,
    /// the subject is too, and `make` is not called. `None` where this poll had the key already:
    /// a second reading of one thing is to be left out.
    ///
    /// # Errors
    /// That of `make`.
    pub fn begin<S: Into<Arc<Subject>>, E>(
        &mut self,
        key: &str,
        fingerprint: u64,
        make: impl FnOnce() -> Result<(S, N), E>,
    ) -> Result<Option<N>, E> {
        let key = self.shapes.fingerprint(key);
        let known = self.find(key);
        let same = known.is_some_and(|place| self.shapes.shapes[place].fingerprint == fingerprint);
        let place = match known.filter(|_| same) {
            Some(place) => place,
            None => {
                if known.is_some_and(|place| self.was_read(place)) {
                    return Ok(None);
                }
                let (subject, note) = make()?;
                self.place_anew(known, key, fingerprint, subject.into(), note)
            }
        };
        Ok(self.start(place))
    }

    /// As [`begin`](Self::begin), for what is looked at anew whatever its fingerprint.
    pub fn begin_anew(
        &mut self,
        key: &str,
        fingerprint: u64,
        subject: impl Into<Arc<Subject>>,
        note: N,
    ) -> Option<N> {
        let key = self.shapes.fingerprint(key);
        let known = self.find(key);
        if known.is_some_and(|place| self.was_read(place)) {
            return None;
        }
        let place = self.place_anew(known, key, fingerprint, subject.into(), note);
        self.start(place)
    }

    /// As [`begin`](Self::begin), for what is known to be as it was; `None` where nothing is
    /// remembered of it, too.
    pub fn begin_same(&mut self, key: &str) -> Option<N> {
        let place = self.find(self.shapes.fingerprint(key))?;
        self.start(place)
    }

    /// What is remembered of the thing of this key.
    #[must_use]
    pub fn recall(&self, key: &str) -> Option<Recalled<'_, N>> {
        let place = self.find(self.shapes.fingerprint(key))?;
        let Shape { fingerprint, note, .. } = &self.shapes.shapes[place];
        let settled = self.settled && place == self.seen;
        Some(Recalled { fingerprint: *fingerprint, note, settled })
    }

    /// Whether this poll had the thing of this key already.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.find(self.shapes.fingerprint(key)).is_some_and(|place| self.was_read(place))
    }

    /// The things that this poll has read so far.
    pub fn so_far(&self) -> impl Iterator<Item = (&Subject, &N)> {
        let read = self.shapes.shapes.iter().filter(|shape| shape.round == self.shapes.round);
        read.map(|shape| (&*shape.subject, &shape.note))
    }

    /// A fingerprint for [`begin`](Self::begin).
    #[must_use]
    pub fn fingerprint<T: std::hash::Hash + ?Sized>(&self, content: &T) -> u64 {
        self.shapes.fingerprint(content)
    }

    fn find(&self, key: u64) -> Option<usize> {
        let expected = self.shapes.shapes.get(self.next).is_some_and(|shape| shape.key == key);
        if expected { Some(self.next) } else { self.shapes.find(key) }
    }

    fn was_read(&self, place: usize) -> bool {
        self.shapes.shapes[place].round == self.shapes.round
    }

    /// The place of a thing that is new or changed.
    fn place_anew(
        &mut self,
        known: Option<usize>,
        key: u64,
        fingerprint: u64,
        subject: Arc<Subject>,
        note: N,
    ) -> usize {
        self.settled = false;
        if let Some(place) = known {
            self.shapes.shapes[place].renew(fingerprint, subject, note);
            return place;
        }
        // Of a round that is over.
        let round = self.shapes.round.wrapping_sub(1);
        self.shapes.insert(Shape { key, fingerprint, subject, layout: None, note, round, turn: 0 })
    }

    /// Begins the reading of the thing at this place, unless this poll had it already.
    fn start(&mut self, place: usize) -> Option<N> {
        let round = self.shapes.round;
        let shape = &mut self.shapes.shapes[place];
        if shape.round == round {
            return None;
        }
        shape.round = round;
        shape.turn = self.seen as u32;
        self.settled &= place == self.seen;
        self.place = place;
        self.next = place + 1;
        self.seen += 1;
        self.cells.clear();
        self.fields = None;
        self.given_cpu_nanocores = None;
        Some(shape.note.clone())
    }

    /// A field without labels.
    pub fn plain(&mut self, metric: MetricId, cell: Cell) {
        let def = metric.def();
        let same = |field: &Field| is_known(field, def) && field.labels.is_none();
        self.record(cell, same, || Field::plain(def));
    }

    /// A field of one device or volume.
    pub fn resource(&mut self, metric: MetricId, resource_id: &str, cell: Cell) {
        self.resources(resource_id, [(metric, cell)]);
    }

    /// Fields of one device or volume, whose labels are then compared once.
    pub fn resources<const COUNT: usize>(
        &mut self,
        resource_id: &str,
        values: [(MetricId, Cell); COUNT],
    ) {
        let known = std::cell::Cell::new(std::ptr::null());
        let of_resource = |labels: &Arc<Labels>| {
            let place = Arc::as_ptr(labels);
            if known.get() == place {
                return true;
            }
            let same = labels.len() == 1 && labels.get(tag::RESOURCE_ID) == Some(resource_id);
            if same {
                known.set(place);
            }
            same
        };
        for (metric, cell) in values {
            let def = metric.def();
            let same = |field: &Field| {
                is_known(field, def) && field.labels.as_ref().is_some_and(of_resource)
            };
            self.record(cell, same, || Field::resource(def, resource_id));
        }
    }

    /// Any other field.
    pub fn field(&mut self, field: &Field, cell: Cell) {
        self.record(cell, |known| known == field, || field.clone());
    }

    /// What the host itself says of its CPU in use: see
    /// [`Reading::given_cpu_nanocores`](super::Reading::given_cpu_nanocores).
    pub fn give_cpu_nanocores(&mut self, nanocores: Option<u64>) {
        self.given_cpu_nanocores = nanocores;
    }

    /// Ends the reading. One without any field is a reading too.
    pub fn end(&mut self, time_ms: i64, start_time_ms: i64) {
        let Some(shape) = self.shapes.shapes.get_mut(self.place) else { return };
        let known = shape
            .layout
            .as_ref()
            .filter(|layout| self.fields.is_none() && layout.measured().len() == self.cells.len());
        let layout = match (known, self.fields.take()) {
            (Some(layout), _) => Arc::clone(layout),
            (None, Some(fields)) => self.layouts.layout(&fields),
            (None, None) => self.layouts.layout(shape.measured(self.cells.len())),
        };
        shape.layout = Some(Arc::clone(&layout));
        let subject = Arc::clone(&shape.subject);
        self.readings.push(subject, layout, (time_ms, start_time_ms), &self.cells);
        self.readings.give_cpu_nanocores(self.given_cpu_nanocores);
    }

    /// The readings. What was not read this time is forgotten.
    #[must_use]
    pub fn finish(self) -> Readings {
        if !self.settled || self.seen < self.shapes.len() {
            self.shapes.settle(1);
        }
        self.shapes.whole = true;
        self.shapes.cells = self.readings.cells.len() as u32;
        self.readings
    }

    /// Takes in a cell. As long as fields come as in the poll before, none is made. Absent cells,
    /// fields that the schema does not have at this level, and repeated ones are left out.
    fn record(&mut self, cell: Cell, same: impl Fn(&Field) -> bool, make: impl FnOnce() -> Field) {
        if cell.is_absent() {
            return;
        }
        let Some(shape) = self.shapes.shapes.get(self.place) else { return };
        let at = self.cells.len();
        if self.fields.is_none() {
            let known = shape.measured(usize::MAX);
            if known.get(at).is_some_and(&same) {
                return self.cells.push(cell);
            }
        }
        let so_far = self.fields.as_deref().unwrap_or_else(|| shape.measured(at));
        let mut field = make();
        let wanted = belongs(&field.metric, shape.subject.level()) && at < MOST_FIELDS;
        if !wanted || so_far.iter().any(same) {
            return;
        }
        let mut fields = self.fields.take().unwrap_or_else(|| so_far_of(shape, at));
        if let Some(last) = fields.last().filter(|last| last.labels == field.labels) {
            field.labels.clone_from(&last.labels);
        }
        fields.push(field);
        self.fields = Some(fields);
        self.cells.push(cell);
    }
}

fn so_far_of<N>(shape: &Shape<N>, count: usize) -> Vec<Field> {
    let mut fields = Vec::with_capacity(count + 16);
    fields.extend_from_slice(shape.measured(count));
    fields
}

fn is_known(field: &Field, def: &'static MetricDef) -> bool {
    matches!(field.metric, Metric::Known(known) if known.id == def.id)
}

fn belongs(metric: &Metric, level: Level) -> bool {
    match metric {
        Metric::Known(def) => def.levels.contains(&level),
        Metric::Custom(_) => true,
    }
}
