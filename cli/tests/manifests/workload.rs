//! The containers of the manifests: their commands, their environment, their image.

use std::collections::BTreeMap;

use serde_json::Value;

use super::render::{of_kind, title};

/// A container, and the pod that it is in.
pub(crate) struct Container<'a> {
    /// What it is called in messages: base, document, container.
    pub(crate) title: String,
    pub(crate) value: &'a Value,
    /// The pod's template.
    pub(crate) template: &'a Value,
    documents: &'a [Value],
}

/// Pods' templates, each with its document.
pub(crate) fn templates(documents: &[Value]) -> impl Iterator<Item = (&Value, &Value)> {
    let workloads = documents.iter().filter(|document| !document["spec"]["template"].is_null());
    workloads.map(|document| (document, &document["spec"]["template"]))
}

/// All containers of a base.
pub(crate) fn containers<'a>(base: &str, documents: &'a [Value]) -> Vec<Container<'a>> {
    let mut found = Vec::new();
    for (document, template) in templates(documents) {
        for value in template["spec"]["containers"].as_array().unwrap() {
            let title = format!("{base}: {} {}", title(document), value["name"]);
            found.push(Container { title, value, template, documents });
        }
    }
    found
}

impl Container<'_> {
    /// The image's name, without its tag.
    pub(crate) fn image(&self) -> &str {
        self.image_and_tag().0
    }

    pub(crate) fn image_and_tag(&self) -> (&str, &str) {
        self.value["image"].as_str().unwrap().rsplit_once(':').unwrap()
    }

    /// The image's name, without the registry that it is from.
    fn program(&self) -> &str {
        self.image().rsplit('/').next().unwrap_or_default()
    }

    /// Whether it is one of ours.
    pub(crate) fn is_own(&self) -> bool {
        self.program().starts_with("heapster")
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        let args = self.value["args"].as_array().into_iter().flatten();
        args.map(|arg| arg.as_str().unwrap().to_owned()).collect()
    }

    /// What it is started with: the image's entry point, and the arguments.
    pub(crate) fn command_line(&self) -> Vec<String> {
        assert!(self.value["command"].is_null(), "{}: the image has an entry point", self.title);
        std::iter::once(self.program().to_owned()).chain(self.arguments()).collect()
    }

    /// The value that an argument has for an option.
    pub(crate) fn argument(&self, option: &str) -> Option<String> {
        let start = format!("--{option}=");
        self.command_line().iter().find_map(|arg| Some(arg.strip_prefix(&start)?.to_owned()))
    }

    /// Its environment as the kubelet makes it, on a node named `node-a`.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        for source in self.value["envFrom"].as_array().into_iter().flatten() {
            let Some(name) = source.pointer("/configMapRef/name") else { continue };
            let mut maps = of_kind(self.documents, "ConfigMap");
            let map = maps.find(|map| map["metadata"]["name"] == *name);
            let map = map.unwrap_or_else(|| panic!("{}: no config map {name}", self.title));
            for (key, value) in map["data"].as_object().unwrap() {
                environment.insert(key.clone(), value.as_str().unwrap().to_owned());
            }
        }
        for variable in self.value["env"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().unwrap();
            let value = match variable.pointer("/valueFrom/fieldRef/fieldPath") {
                Some(path) => {
                    assert_eq!(path, "spec.nodeName", "{}", self.title);
                    "node-a".to_owned()
                }
                None => expand(variable["value"].as_str().unwrap(), &environment),
            };
            environment.insert(name.to_owned(), value);
        }
        environment
    }

    /// The number of a port by its name.
    pub(crate) fn port(&self, name: &str) -> Option<u64> {
        let mut ports = self.value["ports"].as_array().into_iter().flatten();
        ports.find(|port| port["name"] == name)?["containerPort"].as_u64()
    }
}

/// Puts what is known in the place of `$(NAME)`.
fn expand(text: &str, environment: &BTreeMap<String, String>) -> String {
    let known = environment.iter();
    known.fold(text.to_owned(), |text, (name, value)| text.replace(&format!("$({name})"), value))
}
