//! A dashboard as Grafana reads it: its variables, its queries, and what they give.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

/// A dashboard.
pub(crate) struct Dashboard {
    pub(crate) file: String,
    pub(crate) title: String,
    pub(crate) uid: String,
    value: Value,
}

/// A variable of a dashboard.
pub(crate) struct Variable<'a> {
    pub(crate) name: &'a str,
    value: &'a Value,
}

/// A query of a panel.
pub(crate) struct Target {
    /// The panel's title.
    pub(crate) panel: String,
    pub(crate) query: String,
    alias: String,
}

impl Dashboard {
    pub(crate) fn read(path: &Path) -> Self {
        let value: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let text = |field: &str| value[field].as_str().unwrap().to_owned();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        Self { file, title: text("title"), uid: text("uid"), value }
    }

    pub(crate) fn variables(&self) -> Vec<Variable<'_>> {
        let list = self.value["templating"]["list"].as_array().unwrap();
        list.iter().map(|value| Variable { name: value["name"].as_str().unwrap(), value }).collect()
    }

    fn panels(&self) -> &[Value] {
        self.value["panels"].as_array().unwrap()
    }

    pub(crate) fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for panel in self.panels() {
            let title = panel["title"].as_str().unwrap();
            let list = panel["targets"].as_array().unwrap();
            assert!(!list.is_empty(), "{title} asks nothing");
            targets.extend(list.iter().map(|target| Target {
                panel: title.to_owned(),
                query: target["query"].as_str().unwrap().to_owned(),
                alias: target["alias"].as_str().unwrap_or_default().to_owned(),
            }));
        }
        targets
    }

    /// The data sources that it names.
    pub(crate) fn sources(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        sources(&self.value, &mut found);
        found
    }
}

fn sources(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(source) = fields.get("datasource") {
                found.insert(source["uid"].as_str().unwrap().to_owned());
            }
            fields.values().for_each(|value| sources(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| sources(value, found)),
        _ => {}
    }
}

impl Variable<'_> {
    /// What its choices come from; nothing for what the user types.
    pub(crate) fn query(&self) -> Option<&str> {
        (self.value["type"] == "query").then(|| self.value["query"].as_str().unwrap())
    }
}

/// What stands for the variables of a dashboard.
#[derive(Default)]
pub(crate) struct Values(BTreeMap<String, String>);

impl Values {
    /// All of the choices where the variable takes several, else the first.
    pub(crate) fn set(&mut self, variable: &Variable<'_>, choices: &[String]) {
        let several = variable.value["multi"] == true;
        let text = if several { format!("({})", choices.join("|")) } else { choices[0].clone() };
        self.0.insert(variable.name.to_owned(), text);
    }

    /// A query with all its variables replaced.
    pub(crate) fn fill(&self, query: &str) -> String {
        let mut text = query
            .replace("$timeFilter", "time >= now() - 1h and time <= now()")
            .replace("$__interval", "15s");
        for (name, value) in &self.0 {
            text = text.replace(&format!("${name}"), value);
        }
        // What is left is the end of a regular expression.
        assert!(!text.replace("$/", "").contains('$'), "a variable that is not there: {text}");
        text
    }
}

fn series(answer: &Value) -> &[Value] {
    answer.pointer("/results/0/series").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The values of a column over all series.
pub(crate) fn column(answer: &Value, name: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    for series in series(answer) {
        let mut columns = series["columns"].as_array().unwrap().iter();
        let Some(index) = columns.position(|column| column == name) else { continue };
        for row in series["values"].as_array().unwrap() {
            found.insert(row[index].as_str().unwrap().to_owned());
        }
    }
    found.into_iter().collect()
}

impl Target {
    /// Whether there is something to draw, and the legend has what it names.
    pub(crate) fn check(&self, answer: &Value) -> Result<(), String> {
        let series = series(answer);
        if series.is_empty() {
            return Err("no data".into());
        }
        for one in series {
            let rows = one["values"].as_array().unwrap();
            let mut values = rows.iter().flat_map(|row| row.as_array().unwrap().iter().skip(1));
            if !values.any(|value| !value.is_null()) {
                return Err("a line without a value".into());
            }
            for tag in self.alias.split("$tag_").skip(1) {
                let end = tag.find(|c: char| !c.is_ascii_lowercase() && c != '_');
                let tag = &tag[..end.unwrap_or(tag.len())];
                if one["tags"][tag].as_str().is_none_or(str::is_empty) {
                    return Err(format!("the legend names {tag}, which is not there"));
                }
            }
        }
        let counts = self.query.contains("SELECT count(");
        let counted = series.iter().flat_map(|one| one["values"].as_array().unwrap());
        if counts && !counted.into_iter().any(|row| row[1].as_u64() > Some(0)) {
            return Err("nothing is counted".into());
        }
        Ok(())
    }
}
