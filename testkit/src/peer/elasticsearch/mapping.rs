//! Documents as the peers read them: no name twice, and each field of one type for good.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// The types that fields have had, by their whole names.
#[derive(Default, Debug)]
pub(super) struct Mapping(BTreeMap<String, &'static str>);

impl Mapping {
    /// Takes over the fields of a document.
    pub(super) fn learn(&mut self, document: &Value) -> Result<(), String> {
        let mut found = BTreeMap::new();
        fields("", document, &mut found)?;
        for (name, kind) in &found {
            match self.0.get(name) {
                Some(known) if known != kind => {
                    return Err(format!("field [{name}] is {known}, not {kind}"));
                }
                _ => {}
            }
        }
        self.0.extend(found);
        Ok(())
    }
}

fn fields(
    name: &str,
    value: &Value,
    found: &mut BTreeMap<String, &'static str>,
) -> Result<(), String> {
    let kind = match value {
        Value::Null => return Ok(()),
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "double",
        Value::Number(_) => "long",
        Value::String(_) => "keyword",
        Value::Array(values) => return values.iter().try_for_each(|one| fields(name, one, found)),
        Value::Object(members) => {
            for (member, value) in members {
                if member.split('.').any(|part| part.trim().is_empty()) {
                    return Err(format!("field name [{member}] has an empty part"));
                }
                let whole =
                    if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
                fields(&whole, value, found)?;
            }
            "object"
        }
    };
    // A dot in a name makes objects of what stands before it.
    for (at, _) in name.match_indices('.') {
        put(&name[..at], "object", found)?;
    }
    put(name, kind, found)
}

fn put(
    name: &str,
    kind: &'static str,
    found: &mut BTreeMap<String, &'static str>,
) -> Result<(), String> {
    match found.insert(name.to_owned(), kind) {
        Some(before) if before != kind => Err(format!("field [{name}] is {before} and {kind}")),
        _ => Ok(()),
    }
}

/// Reads JSON whose objects have each name once.
pub(super) fn strict(text: &str) -> Result<Value, String> {
    serde_json::from_str::<Strict>(text).map(|strict| strict.0).map_err(|error| error.to_string())
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = serde_json::Map::new();
        while let Some((name, Strict(value))) = map.next_entry::<String, Strict>()? {
            if members.insert(name.clone(), value).is_some() {
                return Err(A::Error::custom(format!("Duplicate field '{name}'")));
            }
        }
        Ok(members.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fake that takes everything would prove nothing.
    #[test]
    fn what_the_peers_refuse_is_refused() {
        assert!(strict(r#"{"a":{"b":1,"b":2}}"#).unwrap_err().contains("Duplicate"));
        let refused = |documents: &[&str]| {
            let mut mapping = Mapping::default();
            documents.iter().any(|text| mapping.learn(&strict(text).unwrap()).is_err())
        };
        assert!(refused(&[r#"{"a":1}"#, r#"{"a":1.5}"#]));
        assert!(refused(&[r#"{"l":{"app":"x","app.k/name":"y"}}"#]));
        assert!(refused(&[r#"{"l":{"a..b":"x"}}"#]));
        assert!(!refused(&[r#"{"a":1,"l":{"b":"x"}}"#, r#"{"a":2,"l":{"c":1.0}}"#]));
    }
}
