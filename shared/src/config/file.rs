//! A TOML file as a list of keys with their values as text.

use std::{fs, path::Path};

use toml::de::{DeTable, DeValue};

use crate::spec::Spec;

/// The top-level keys of a file.
pub(super) struct ConfigFile {
    entries: Vec<Entry>,
}

/// One key.
pub(super) struct Entry {
    pub(super) key: String,
    /// One value, or those of a list.
    pub(super) values: Vec<String>,
    /// `FILE:LINE`.
    pub(super) place: String,
}

impl ConfigFile {
    /// Reads a file; the error says where it is wrong.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Self::parse(&text, &path.display().to_string())
    }

    fn parse(text: &str, name: &str) -> Result<Self, String> {
        let table = DeTable::parse(text)
            .map_err(|error| format!("{name}: {}", error.to_string().trim_end()))?;
        let mut entries = Vec::new();
        for (key, value) in table.into_inner() {
            let line = text[..key.span().start].matches('\n').count() + 1;
            let place = format!("{name}:{line}");
            let key = key.into_inner().into_owned();
            let values =
                values(value.into_inner()).map_err(|error| format!("{place}: `{key}`: {error}"))?;
            entries.push(Entry { key, values, place });
        }
        Ok(Self { entries })
    }

    /// The entry of an option, which may be written with `-` for `_`.
    pub(super) fn take(&mut self, key: &str) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| entry.key.replace('-', "_") == key)?;
        Some(self.entries.swap_remove(index))
    }

    /// Any entry that is left.
    pub(super) fn take_any(&mut self) -> Option<Entry> {
        self.entries.pop()
    }
}

fn values(value: DeValue<'_>) -> Result<Vec<String>, String> {
    match value {
        DeValue::Array(items) => items.into_iter().map(|item| one(item.into_inner())).collect(),
        other => Ok(vec![one(other)?]),
    }
}

fn one(value: DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::Table(table) => Ok(spec(table)?.to_string()),
        other => scalar(&other),
    }
}

/// A table with `kind`, `location` and options.
fn spec(table: DeTable<'_>) -> Result<Spec, String> {
    let mut spec = Spec { kind: String::new(), location: String::new(), options: Vec::new() };
    for (key, value) in table {
        let values = match value.into_inner() {
            DeValue::Array(items) => {
                items.iter().map(|item| scalar(item.get_ref())).collect::<Result<Vec<_>, _>>()?
            }
            other => vec![scalar(&other)?],
        };
        match key.get_ref().as_ref() {
            "kind" => spec.kind = values.concat(),
            "location" => spec.location = values.concat(),
            name => spec.options.extend(values.into_iter().map(|value| (name.to_owned(), value))),
        }
    }
    if spec.kind.is_empty() {
        return Err("a table needs `kind = \"...\"`".to_owned());
    }
    Ok(spec)
}

fn scalar(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        DeValue::Boolean(flag) => Ok(flag.to_string()),
        DeValue::Datetime(time) => Ok(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => {
            Err("lists and tables do not nest here".to_owned())
        }
    }
}
