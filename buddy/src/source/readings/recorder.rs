//! Records the readings of one poll, with what is remembered of the poll before.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use compact_str::CompactString;
use hashbrown::HashTable;
use heapster_shared::{
    entity::Level,
    row::Cell,
    schema::{Field, Layout, Metric, MetricDef, MetricId},
    tag,
};

use super::{Layouts, Readings};
use crate::source::Subject;

/// More fields than this no reading has; what comes after them is left out.
const MOST_FIELDS: usize = 4096;

/// What a host's things looked like in the poll before. `N` is what a source remembers of each
/// thing beside, because it follows from the same part of the answer.
#[derive(Debug)]
pub struct Shapes<N = ()> {
    shapes: Vec<Shape<N>>,
    places: HashTable<u32>,
    hasher: RandomState,
    round: u32,
}

#[derive(Debug)]
struct Shape<N> {
    key: CompactString,
    fingerprint: u64,
    subject: Arc<Subject>,
    layout: Option<Arc<Layout>>,
    note: N,
    round: u32,
}

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
    /// The fields so far, where they are no longer those of the layout before.
    fields: Option<Vec<Field>>,
}

impl<N> Default for Shapes<N> {
    fn default() -> Self {
        Self { shapes: Vec::new(), places: HashTable::new(), hasher: RandomState::new(), round: 0 }
    }
}

impl<N> Shapes<N> {
    /// Number of things that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// Makes each thing of the next poll be looked at anew, because what one is called may hang on
    /// the others. What turns out the same keeps its `Arc`.
    pub fn doubt(&mut self) {
        self.shapes.iter_mut().for_each(|shape| shape.fingerprint = !shape.fingerprint);
    }

    /// Whether a thing of this key and fingerprint was there in the poll before.
    #[must_use]
    pub fn knows(&self, key: &str, fingerprint: u64) -> bool {
        self.find(key).is_some_and(|place| self.shapes[place].fingerprint == fingerprint)
    }

    fn find(&self, key: &str) -> Option<usize> {
        let is_it = |place: &u32| self.shapes[*place as usize].key == key;
        self.places.find(self.hasher.hash_one(key), is_it).map(|place| *place as usize)
    }

    fn insert(&mut self, shape: Shape<N>) -> usize {
        let place = self.shapes.len();
        let hash = self.hasher.hash_one(shape.key.as_str());
        self.shapes.push(shape);
        let Self { shapes, places, hasher, .. } = self;
        let rehash = |place: &u32| hasher.hash_one(shapes[*place as usize].key.as_str());
        places.insert_unique(hash, place as u32, rehash);
        place
    }

    /// Forgets what was not in the newest poll.
    fn forget(&mut self) {
        let round = self.round;
        self.shapes.retain(|shape| shape.round == round);
        self.shapes.shrink_to(2 * self.shapes.len());
        let Self { shapes, places, hasher, .. } = self;
        places.clear();
        for (place, shape) in shapes.iter().enumerate() {
            let rehash = |place: &u32| hasher.hash_one(shapes[*place as usize].key.as_str());
            places.insert_unique(hasher.hash_one(shape.key.as_str()), place as u32, rehash);
        }
    }
}

impl<'s, N: Clone> Recorder<'s, N> {
    /// A recorder of the next poll of the host whose shapes these are.
    pub fn new(shapes: &'s mut Shapes<N>, layouts: &'s Layouts) -> Self {
        shapes.round = shapes.round.wrapping_add(1);
        Self {
            shapes,
            layouts,
            readings: Readings::default(),
            cells: Vec::with_capacity(32),
            place: 0,
            next: 0,
            seen: 0,
            fields: None,
        }
    }

    /// Begins the reading of the thing that the host calls by this key, and says what is noted of
    /// it. While the fingerprint (of whatever the subject follows from) is that of the poll before,
    /// the subject is too, and `make` is not called. `None` where this poll had the key already:
    /// a second reading of one thing is to be left out.
    ///
    /// # Errors
    /// That of `make`.
    pub fn begin<E>(
        &mut self,
        key: &str,
        fingerprint: u64,
        make: impl FnOnce() -> Result<(Subject, N), E>,
    ) -> Result<Option<N>, E> {
        let round = self.shapes.round;
        let expected = self.shapes.shapes.get(self.next).is_some_and(|shape| shape.key == key);
        let found = if expected { Some(self.next) } else { self.shapes.find(key) };
        let place = match found {
            Some(place) if self.shapes.shapes[place].round == round => return Ok(None),
            Some(place) => {
                let shape = &mut self.shapes.shapes[place];
                if shape.fingerprint != fingerprint {
                    let (subject, note) = make()?;
                    shape.renew(fingerprint, subject, note);
                }
                shape.round = round;
                place
            }
            None => {
                let (subject, note) = make()?;
                let (key, subject) = (key.into(), Arc::new(subject));
                let shape = Shape { key, fingerprint, subject, layout: None, note, round };
                self.shapes.insert(shape)
            }
        };
        self.place = place;
        self.next = place + 1;
        self.seen += 1;
        self.cells.clear();
        self.fields = None;
        Ok(Some(self.shapes.shapes[place].note.clone()))
    }

    /// A field without labels.
    pub fn plain(&mut self, metric: MetricId, cell: Cell) {
        let def = metric.def();
        let same = |field: &Field| is_known(field, def) && field.labels.is_none();
        self.record(cell, same, || Field::plain(def));
    }

    /// A field of one device or volume.
    pub fn resource(&mut self, metric: MetricId, resource_id: &str, cell: Cell) {
        let def = metric.def();
        let of_resource = |field: &Field| {
            let labels = field.labels.as_ref();
            labels.is_some_and(|labels| {
                labels.len() == 1 && labels.get(tag::RESOURCE_ID) == Some(resource_id)
            })
        };
        let same = |field: &Field| is_known(field, def) && of_resource(field);
        self.record(cell, same, || Field::resource(def, resource_id));
    }

    /// Any other field.
    pub fn field(&mut self, field: &Field, cell: Cell) {
        self.record(cell, |known| known == field, || field.clone());
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
    }

    /// The readings. What was not read this time is forgotten.
    #[must_use]
    pub fn finish(self) -> Readings {
        if self.seen < self.shapes.shapes.len() {
            self.shapes.forget();
        }
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
        let field = make();
        let wanted = belongs(&field.metric, shape.subject.level()) && at < MOST_FIELDS;
        if !wanted || so_far.iter().any(same) {
            return;
        }
        let mut fields = self.fields.take().unwrap_or_else(|| so_far_of(shape, at));
        fields.push(field);
        self.fields = Some(fields);
        self.cells.push(cell);
    }
}

impl<N> Shape<N> {
    fn renew(&mut self, fingerprint: u64, subject: Subject, note: N) {
        self.fingerprint = fingerprint;
        self.note = note;
        if *self.subject != subject {
            self.subject = Arc::new(subject);
        }
    }

    /// The first so many fields of the poll before.
    fn measured(&self, most: usize) -> &[Field] {
        let fields = self.layout.as_ref().map_or(&[][..], |layout| layout.measured());
        &fields[..fields.len().min(most)]
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
