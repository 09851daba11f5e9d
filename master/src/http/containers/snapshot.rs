//! The rows of an answer, in groups of one level and layout, and the families that they make.

use std::{collections::BTreeMap, sync::Arc};

use heapster_shared::{
    Map,
    entity::{Entity, Level},
    row::Cell,
    schema::Layout,
    tag,
};

use super::text::append_label;
use crate::{
    core::model::NewestRow,
    prometheus::{Family, of_entity, of_field},
};

/// The tag that names the cluster.
const CLUSTER_NAME: &str = "cluster_name";

/// Rows in groups.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) groups: Vec<Group>,
    /// Where the group of a layout and level is.
    places: Map<(usize, Level), usize>,
}

/// Rows of one level and layout.
#[derive(Debug)]
pub(super) struct Group {
    level: Level,
    layout: Arc<Layout>,
    pub(super) rows: Vec<Row>,
}

/// A row.
#[derive(Debug)]
pub(super) struct Row {
    cluster: Arc<str>,
    entity: Arc<Entity>,
    /// The labels of the entity as text, each with a comma behind.
    labels: Box<str>,
    pub(super) time_ms: i64,
    cells: Box<[Cell]>,
}

/// The fields of one name, wherever they are.
#[derive(Debug)]
pub(super) struct FamilyFields {
    pub(super) family: Family,
    pub(super) fields: Vec<FieldAt>,
}

/// A field of a group.
#[derive(Debug)]
pub(super) struct FieldAt {
    pub(super) group: usize,
    index: usize,
    /// Its labels, as name and value.
    labels: Vec<(String, String)>,
    /// The same as text.
    text: String,
}

impl Snapshot {
    /// Adds rows of a cluster.
    pub(super) fn extend(&mut self, cluster: &str, rows: impl Iterator<Item = NewestRow>) {
        let cluster: Arc<str> = cluster.into();
        for row in rows {
            let level = row.entity.level;
            // The group keeps the layout, and with it the address.
            let key = (Arc::as_ptr(&row.layout).addr(), level);
            let next = self.groups.len();
            let place = *self.places.entry(key).or_insert(next);
            if place == next {
                let layout = Arc::clone(&row.layout);
                self.groups.push(Group { level, layout, rows: Vec::new() });
            }
            self.groups[place].rows.push(Row::new(&cluster, row));
        }
    }

    /// The families by name. Of two fields of a group that would be the same series the first stays.
    pub(super) fn families(&self) -> Vec<FamilyFields> {
        let mut families: BTreeMap<String, FamilyFields> = BTreeMap::new();
        for (group, Group { level, layout, .. }) in self.groups.iter().enumerate() {
            for (index, field) in layout.fields().iter().enumerate() {
                let family = Family::of(&field.metric, *level);
                let name = family.name.clone();
                let fields = &mut families
                    .entry(name)
                    .or_insert_with(|| FamilyFields { family, fields: Vec::new() })
                    .fields;
                let labels = of_field(field, Some);
                let labels: Vec<(String, String)> = labels
                    .into_iter()
                    .map(|(name, value)| (name.into_owned(), value.to_owned()))
                    .collect();
                let here = fields.iter().rev().take_while(|other| other.group == group);
                if here.into_iter().all(|other| other.labels != labels) {
                    let text = text_of(labels.iter().map(|(name, value)| (&**name, &**value)));
                    fields.push(FieldAt { group, index, labels, text });
                }
            }
        }
        families.into_values().collect()
    }
}

impl Row {
    fn new(cluster: &Arc<str>, row: NewestRow) -> Self {
        let labels = text_of(labels(cluster, &row.entity).iter().map(|(n, v)| (&**n, &**v)));
        Self {
            cluster: Arc::clone(cluster),
            entity: row.entity,
            labels: labels.into(),
            time_ms: row.time_ms,
            cells: row.cells.into(),
        }
    }

    /// The value of a field of a family, in the family's unit.
    pub(super) fn value(&self, field: &FieldAt, layout: &Layout, family: &Family) -> Option<f64> {
        let value_type = layout.fields()[field.index].metric.value_type();
        Some(self.cells[field.index].to_real(value_type)? / family.divisor)
    }

    /// Appends the labels of a series, each with a comma behind.
    pub(super) fn labels(&self, field: &FieldAt, out: &mut Vec<u8>) {
        out.extend_from_slice(field.text.as_bytes());
        if !self.may_have_one_of(&field.labels) {
            out.extend_from_slice(self.labels.as_bytes());
            return;
        }
        // A label of the field takes the place of one of the thing.
        for (name, value) in labels(&self.cluster, &self.entity) {
            if field.labels.iter().all(|(other, _)| *other != name) {
                append_label(&name, value, out);
            }
        }
    }

    /// A quotation mark in a value has a backslash in front, so that only names can be followed by
    /// what is looked for; some of them only end with it.
    fn may_have_one_of(&self, labels: &[(String, String)]) -> bool {
        labels.iter().any(|(name, _)| self.labels.contains(&format!("{name}=\"")))
    }
}

impl Group {
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }
}

fn labels<'a>(cluster: &'a str, entity: &'a Entity) -> Vec<(std::borrow::Cow<'a, str>, &'a str)> {
    of_entity(|visit| {
        visit(CLUSTER_NAME, cluster);
        tag::visit(entity, visit);
    })
}

fn text_of<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = Vec::new();
    labels.for_each(|(name, value)| append_label(name, value, &mut text));
    String::from_utf8_lossy(&text).into_owned()
}
