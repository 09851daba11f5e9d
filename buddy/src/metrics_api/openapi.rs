//! The schema of what is served, in both versions that API servers ask for.

use serde_json::{Map, Value, json};

use super::status::GROUP;

const PREFIX: &str = "io.k8s.metrics.pkg.apis.metrics.v1beta1";
const BASE: &str = "/apis/metrics.k8s.io/v1beta1";
const META: &str =
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";

/// Where the definitions are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    V2,
    V3,
}

impl Version {
    fn reference(self, kind: &str) -> Value {
        let place = if self == Self::V2 { "definitions" } else { "components/schemas" };
        json!({ "$ref": format!("#/{place}/{PREFIX}.{kind}") })
    }

    fn answer(self, kind: &str) -> Value {
        let schema = self.reference(kind);
        let ok = match self {
            Self::V2 => json!({ "description": "OK", "schema": schema }),
            Self::V3 => {
                let content = json!({ "application/json": { "schema": schema } });
                json!({ "description": "OK", "content": content })
            }
        };
        json!({ "200": ok, "401": { "description": "Unauthorized" } })
    }

    fn parameter(self, name: &str, place: &str) -> Value {
        let mut parameter = json!({ "name": name, "in": place, "required": place == "path" });
        match self {
            Self::V2 => parameter["type"] = "string".into(),
            Self::V3 => parameter["schema"] = json!({ "type": "string" }),
        }
        parameter
    }

    /// What can be done at a path.
    fn path(self, id: &str, (action, item, kind): (&str, &str, &str), path: &str) -> Value {
        let mut parameters = Vec::new();
        for name in ["namespace", "name"] {
            if path.contains(&format!("{{{name}}}")) {
                parameters.push(self.parameter(name, "path"));
            }
        }
        if action == "list" {
            let selectors = ["labelSelector", "fieldSelector"];
            parameters.extend(selectors.map(|name| self.parameter(name, "query")));
        }
        let mut get = json!({
            "operationId": format!("{action}MetricsV1beta1{id}"),
            "tags": ["metrics_v1beta1"],
            "parameters": parameters,
            "responses": self.answer(kind),
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": { "group": GROUP, "version": "v1beta1", "kind": item },
        });
        if self == Self::V2 {
            get["produces"] = json!(["application/json"]);
        }
        json!({ "get": get })
    }

    fn paths(self) -> Value {
        let mut paths = Map::new();
        for (id, action, item, kind, rest) in [
            ("NodeMetrics", "list", "NodeMetrics", "NodeMetricsList", "nodes"),
            ("NodeMetrics", "get", "NodeMetrics", "NodeMetrics", "nodes/{name}"),
            ("PodMetricsForAllNamespaces", "list", "PodMetrics", "PodMetricsList", "pods"),
            (
                "NamespacedPodMetrics",
                "list",
                "PodMetrics",
                "PodMetricsList",
                "namespaces/{namespace}/pods",
            ),
            (
                "NamespacedPodMetrics",
                "get",
                "PodMetrics",
                "PodMetrics",
                "namespaces/{namespace}/pods/{name}",
            ),
        ] {
            let path = format!("{BASE}/{rest}");
            let value = self.path(id, (action, item, kind), &path);
            paths.insert(path, value);
        }
        Value::Object(paths)
    }

    fn definitions(self) -> Value {
        let (text, object) = (json!({ "type": "string" }), json!({ "type": "object" }));
        let usage = json!({ "type": "object", "additionalProperties": text });
        let list = |kind: &str| json!({ "type": "array", "items": self.reference(kind) });
        let kinds = [
            (
                "NodeMetrics",
                true,
                vec![
                    ("metadata", &object),
                    ("timestamp", &text),
                    ("window", &text),
                    ("usage", &usage),
                ],
            ),
            (
                "PodMetrics",
                true,
                vec![
                    ("metadata", &object),
                    ("timestamp", &text),
                    ("window", &text),
                    ("containers", &list("ContainerMetrics")),
                ],
            ),
            ("ContainerMetrics", false, vec![("name", &text), ("usage", &usage)]),
            ("NodeMetricsList", true, vec![("metadata", &object), ("items", &list("NodeMetrics"))]),
            ("PodMetricsList", true, vec![("metadata", &object), ("items", &list("PodMetrics"))]),
        ]
        .map(|(kind, is_top, properties)| {
            (format!("{PREFIX}.{kind}"), definition(kind, is_top, &properties))
        });
        Value::Object(kinds.into_iter().collect())
    }
}

fn definition(kind: &str, is_top: bool, fields: &[(&str, &Value)]) -> Value {
    let mut properties = Map::new();
    if is_top {
        for name in ["apiVersion", "kind"] {
            let about = format!("{META}#types-kinds");
            properties.insert(name.to_owned(), json!({ "type": "string", "description": about }));
        }
    }
    properties.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).clone())));
    let required: Vec<&str> =
        fields.iter().map(|(name, _)| *name).filter(|name| *name != "metadata").collect();
    let mut definition =
        json!({ "type": "object", "required": required, "properties": properties });
    if is_top {
        definition["x-kubernetes-group-version-kind"] =
            json!([{ "group": GROUP, "version": "v1beta1", "kind": kind }]);
    }
    definition
}

fn info() -> Value {
    json!({ "title": "Heapster metrics.k8s.io", "version": env!("CARGO_PKG_VERSION") })
}

/// `/openapi/v2`
pub(super) fn v2() -> Value {
    let version = Version::V2;
    json!({
        "swagger": "2.0", "info": info(),
        "paths": version.paths(), "definitions": version.definitions(),
    })
}

/// `/openapi/v3`: where the documents of the groups are.
pub(super) fn v3() -> Value {
    let path = &BASE[1..];
    let version = env!("CARGO_PKG_VERSION");
    json!({ "paths": { path: { "serverRelativeURL": format!("/openapi/v3/{path}?hash={version}") } } })
}

/// `/openapi/v3/apis/metrics.k8s.io/v1beta1`
pub(super) fn v3_group() -> Value {
    let version = Version::V3;
    json!({
        "openapi": "3.0.0", "info": info(),
        "paths": version.paths(), "components": { "schemas": version.definitions() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    found.push(reference.trim_start_matches('#').to_owned());
                }
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    /// Whatever is referred to is there, in both documents, and so is each path that is served.
    #[test]
    fn documents_are_whole() {
        for document in [v2(), v3_group()] {
            let mut found = Vec::new();
            references(&document, &mut found);
            assert!(found.len() >= 8, "{found:?}");
            for reference in found {
                assert!(document.pointer(&reference).is_some(), "{reference}");
            }
            assert_eq!(document["paths"].as_object().unwrap().len(), 5);
        }
    }
}
