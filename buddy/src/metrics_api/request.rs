//! What a request asks for.

use hyper::{
    HeaderMap, Method,
    header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT},
    http::request::Parts,
};
use url::form_urlencoded;

use super::status::{GROUP, Status};

/// The paths that are served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// The program lives.
    Live,
    /// There is something to ask for.
    Ready,
    Groups,
    Group,
    Resources,
    Nodes {
        name: Option<String>,
    },
    /// Without a namespace those of all.
    Pods {
        namespace: Option<String>,
        name: Option<String>,
    },
    OpenApi2,
    OpenApi3,
    OpenApi3Group,
    Unknown,
}

impl Target {
    pub(super) fn of(path: &str) -> Self {
        let some = |name: &str| Some(name.to_owned());
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match parts[..] {
            ["livez"] | ["healthz"] => Self::Live,
            ["readyz"] => Self::Ready,
            ["apis"] => Self::Groups,
            ["apis", GROUP] => Self::Group,
            ["openapi", "v2"] => Self::OpenApi2,
            ["openapi", "v3"] => Self::OpenApi3,
            ["openapi", "v3", "apis", GROUP, "v1beta1"] => Self::OpenApi3Group,
            ["apis", GROUP, "v1beta1", ref rest @ ..] => match *rest {
                [] => Self::Resources,
                ["nodes"] => Self::Nodes { name: None },
                ["nodes", name] => Self::Nodes { name: some(name) },
                ["pods"] => Self::Pods { namespace: None, name: None },
                ["namespaces", space, "pods"] => Self::Pods { namespace: some(space), name: None },
                ["namespaces", space, "pods", name] => {
                    Self::Pods { namespace: some(space), name: some(name) }
                }
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }
}

/// What the API server is asked about when somebody asks for a target.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Attributes {
    Resource { verb: String, resource: &'static str, namespace: String, name: String },
    Path { verb: String, path: String },
}

impl Attributes {
    pub(super) fn of(method: &Method, path: &str, target: &Target, query: &Query) -> Self {
        let (resource, namespace, name) = match target {
            Target::Nodes { name } => ("nodes", None, name),
            Target::Pods { namespace, name } => ("pods", namespace.as_ref(), name),
            _ => {
                let verb = method.as_str().to_ascii_lowercase();
                return Self::Path { verb, path: path.to_owned() };
            }
        };
        let verb = match method.as_str() {
            "GET" | "HEAD" if name.is_some() => "get",
            "GET" | "HEAD" if query.watch => "watch",
            "GET" | "HEAD" => "list",
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" if name.is_none() => "deletecollection",
            _ => "delete",
        };
        let text = |text: Option<&String>| text.cloned().unwrap_or_default();
        Self::Resource {
            verb: verb.to_owned(),
            resource,
            namespace: text(namespace),
            name: text(name.as_ref()),
        }
    }

    /// Why somebody may not, in the words of Kubernetes, and what that is about: the object's name,
    /// the group and the resource.
    pub(super) fn refusal(&self, user: &str) -> (String, (String, &'static str, &'static str)) {
        match self {
            Self::Resource { verb, resource, namespace, name } => {
                let scope = if namespace.is_empty() {
                    "at the cluster scope".to_owned()
                } else {
                    format!("in the namespace {namespace:?}")
                };
                let object = if name.is_empty() { String::new() } else { format!(" {name:?}") };
                let message = format!(
                    "{resource}.{GROUP}{object} is forbidden: User {user:?} cannot {verb} resource {resource:?} in API group {GROUP:?} {scope}"
                );
                (message, (name.clone(), GROUP, resource))
            }
            Self::Path { verb, path } => {
                let message = format!("forbidden: User {user:?} cannot {verb} path {path:?}");
                (message, (String::new(), "", ""))
            }
        }
    }
}

/// The part of a URL after the question mark, as far as it counts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Query {
    pub(super) labels: String,
    pub(super) fields: String,
    pub(super) watch: bool,
    /// `includeObject` of tables.
    pub(super) include: String,
    pub(super) pretty: Option<bool>,
}

impl Query {
    pub(super) fn of(text: &str) -> Self {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "labelSelector" => query.labels = value.into_owned(),
                "fieldSelector" => query.fields = value.into_owned(),
                "includeObject" => query.include = value.into_owned(),
                "watch" => query.watch = is_true(&value),
                "pretty" => query.pretty = Some(is_true(&value)),
                _ => {}
            }
        }
        query
    }
}

fn is_true(value: &str) -> bool {
    matches!(value, "" | "1" | "t" | "T" | "true" | "True" | "TRUE")
}

/// How an answer is to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rendering {
    /// With line breaks.
    pub(super) pretty: bool,
    /// Where it is long.
    pub(super) gzip: bool,
}

impl Rendering {
    /// As Kubernetes, people who use these programs get line breaks unasked.
    pub(super) fn of(parts: &Parts, query: &Query) -> Self {
        let person = |agent: &str| {
            ["curl", "Wget", "Mozilla/5.0"].iter().any(|known| agent.starts_with(known))
        };
        let pretty = query.pretty.unwrap_or_else(|| person(text(&parts.headers, &USER_AGENT)));
        let gzip = text(&parts.headers, &ACCEPT_ENCODING).split(',').any(|coding| {
            let mut words = coding.split(';').map(str::trim);
            words.next() == Some("gzip") && !words.any(|word| matches!(word, "q=0" | "q=0.0"))
        });
        Self { pretty, gzip }
    }
}

/// The form of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Object,
    /// Of this version of `meta.k8s.io`.
    Table(&'static str),
}

impl Form {
    /// The first of the forms that a client accepts and this server has.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Status> {
        let accepted = text(headers, &ACCEPT);
        if accepted.trim().is_empty() {
            return Ok(Self::Object);
        }
        accepted.split(',').find_map(Self::of_clause).ok_or_else(Status::not_acceptable)
    }

    fn of_clause(clause: &str) -> Option<Self> {
        let mut words = clause.split(';').map(str::trim);
        let (mut kind, mut version, mut group) = ("", "", "");
        if !matches!(words.next()?, "application/json" | "application/*" | "*/*") {
            return None;
        }
        for word in words {
            match word.split_once('=') {
                Some(("as", value)) => kind = value,
                Some(("v", value)) => version = value,
                Some(("g", value)) => group = value,
                _ => {}
            }
        }
        match (kind, group, version) {
            ("", ..) => Some(Self::Object),
            ("Table", "meta.k8s.io", "v1") => Some(Self::Table("meta.k8s.io/v1")),
            ("Table", "meta.k8s.io", "v1beta1") => Some(Self::Table("meta.k8s.io/v1beta1")),
            _ => None,
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &hyper::header::HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: &str) -> Option<Form> {
        Form::of(&HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())])).ok()
    }

    /// What `kubectl get`, `kubectl top`, the autoscaler and people send.
    #[test]
    fn the_first_form_that_is_known_is_taken() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        for (accept, expected) in [
            ("", Some(Form::Object)),
            ("*/*", Some(Form::Object)),
            ("application/json, */*", Some(Form::Object)),
            (kubectl, Some(Form::Table("meta.k8s.io/v1"))),
            ("application/json;as=Other;v=v1;g=meta.k8s.io, application/json", Some(Form::Object)),
            ("application/vnd.kubernetes.protobuf, */*", Some(Form::Object)),
            ("application/vnd.kubernetes.protobuf", None),
            ("text/html", None),
        ] {
            assert_eq!(form(accept), expected, "{accept}");
        }
    }

    #[test]
    fn paths_and_verbs_are_those_of_kubernetes() {
        let some = |text: &str| Some(text.to_owned());
        let base = "/apis/metrics.k8s.io/v1beta1";
        for (path, expected) in [
            ("/nodes", Target::Nodes { name: None }),
            ("/nodes/a", Target::Nodes { name: some("a") }),
            ("/pods", Target::Pods { namespace: None, name: None }),
            ("/namespaces/n/pods", Target::Pods { namespace: some("n"), name: None }),
            ("/namespaces/n/pods/p", Target::Pods { namespace: some("n"), name: some("p") }),
            ("/namespaces/n", Target::Unknown),
            ("", Target::Resources),
        ] {
            assert_eq!(Target::of(&format!("{base}{path}")), expected, "{path}");
        }
        let verb = |method: &str, path: &str, query: &str| {
            let (method, target) =
                (Method::from_bytes(method.as_bytes()).unwrap(), Target::of(path));
            match Attributes::of(&method, path, &target, &Query::of(query)) {
                Attributes::Resource { verb, .. } | Attributes::Path { verb, .. } => verb,
            }
        };
        let nodes = format!("{base}/nodes");
        assert_eq!(verb("GET", &nodes, ""), "list");
        assert_eq!(verb("GET", &nodes, "watch=true"), "watch");
        assert_eq!(verb("GET", &format!("{nodes}/a"), ""), "get");
        assert_eq!(verb("DELETE", &nodes, ""), "deletecollection");
        assert_eq!(verb("GET", "/apis", ""), "get");
    }
}
