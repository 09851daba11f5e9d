//! Lists and objects as tables, which is what `kubectl get` asks for.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    objects::{Item, Metadata, Object},
    quantity::{Cpu, Memory, Time, Window},
    status::{Empty, Status},
};

/// What of the object a row has beside its cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Include {
    Nothing,
    Metadata,
    Object,
}

impl Include {
    /// Reads `includeObject`.
    pub(super) fn of(text: &str) -> Result<Self, Status> {
        match text {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::Nothing),
            "Object" => Ok(Self::Object),
            _ => Err(Status::bad_request(format!(
                "unrecognized includeObject value: {text:?}; it is None, Metadata or Object"
            ))),
        }
    }
}

/// A table.
pub(super) struct Table<T> {
    pub(super) version: &'static str,
    pub(super) items: Vec<T>,
    pub(super) created: Time,
    pub(super) include: Include,
}

#[derive(Serialize)]
struct Column {
    name: &'static str,
    r#type: &'static str,
    format: &'static str,
    description: &'static str,
    priority: u8,
}

const fn column(name: &'static str, format: &'static str, description: &'static str) -> Column {
    Column { name, r#type: "string", format, description, priority: 0 }
}

const COLUMNS: [Column; 4] = [
    column("Name", "name", "Name of the resource"),
    column("cpu", "quantity", ""),
    column("memory", "quantity", ""),
    column("Window", "duration", ""),
];

impl<T: Item> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", "Table")?;
        map.serialize_entry("apiVersion", self.version)?;
        map.serialize_entry("metadata", &Empty {})?;
        map.serialize_entry("columnDefinitions", &COLUMNS)?;
        map.serialize_entry("rows", &Rows(self))?;
        map.end()
    }
}

struct Rows<'a, T>(&'a Table<T>);

#[derive(Serialize)]
#[serde(bound = "T: Item")]
struct Row<'a, T> {
    cells: (&'a str, Cpu, Memory, Window),
    object: RowObject<'a, T>,
}

impl<T: Item> Serialize for Rows<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let table = self.0;
        serializer.collect_seq(table.items.iter().map(|item| {
            let (cpu, memory, window) = item.total();
            let name = item.metadata(table.created).name();
            Row { cells: (name, cpu, memory, window), object: RowObject { table, item } }
        }))
    }
}

struct RowObject<'a, T> {
    table: &'a Table<T>,
    item: &'a T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Partial<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Metadata<'a>,
}

impl<T: Item> Serialize for RowObject<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (item, created) = (self.item, self.table.created);
        match self.table.include {
            Include::Nothing => serializer.serialize_none(),
            Include::Object => Object { item, created, has_kind: true }.serialize(serializer),
            Include::Metadata => Partial {
                kind: "PartialObjectMetadata",
                api_version: self.table.version,
                metadata: item.metadata(created),
            }
            .serialize(serializer),
        }
    }
}
