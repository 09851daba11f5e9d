//! What a request asks for, read from its method, path and query.

use hyper::{Method, Uri};

use super::{
    resources::{METRICS_GROUP, Resource, by_plural},
    selector::Selector,
    store::Wanted,
};
use crate::authority::{AccessRequest, User};

/// What a request asks for.
#[derive(Clone, Default, Debug)]
pub(super) struct Asked {
    /// `get`, `list`, `watch`, `create`, ...
    pub(super) verb: &'static str,
    pub(super) group: String,
    pub(super) version: String,
    pub(super) namespace: String,
    /// Plural; empty where the path is none of a resource.
    pub(super) resource: String,
    pub(super) name: String,
    pub(super) subresource: String,
    /// What follows the subresource, from its slash on.
    pub(super) rest: String,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
}

impl Asked {
    pub(super) fn new(method: &Method, uri: &Uri) -> Self {
        let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let query = query.into_owned().collect();
        let mut asked = Self { path: uri.path().to_owned(), query, ..Self::default() };
        asked.read_path(uri.path());
        asked.verb = asked.verb_of(method);
        asked
    }

    fn read_path(&mut self, path: &str) {
        let mut segments = path.split('/').skip(1).filter(|segment| !segment.is_empty());
        self.group = match segments.next() {
            Some("api") => String::new(),
            Some("apis") => segments.next().unwrap_or_default().to_owned(),
            _ => return,
        };
        self.version = segments.next().unwrap_or_default().to_owned();
        let mut segments: Vec<&str> = segments.collect();
        // `namespaces/x` alone is the namespace itself.
        if segments.len() > 2 && segments[0] == "namespaces" {
            self.namespace = segments[1].to_owned();
            segments.drain(..2);
        }
        let mut segments = segments.into_iter();
        let mut next = || segments.next().unwrap_or_default().to_owned();
        (self.resource, self.name, self.subresource) = (next(), next(), next());
        if let Some((_, rest)) = path.split_once("/proxy/") {
            self.rest = format!("/{rest}");
        }
    }

    fn verb_of(&self, method: &Method) -> &'static str {
        let watches = ["1", "true"].contains(&self.parameter("watch"));
        match *method {
            Method::GET if self.resource.is_empty() || !self.name.is_empty() => "get",
            Method::GET if watches => "watch",
            Method::GET => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "other",
        }
    }

    /// The value of a parameter of the query; empty where it is missing.
    pub(super) fn parameter(&self, name: &str) -> &str {
        let pair = self.query.iter().find(|(own, _)| own == name);
        pair.map_or("", |(_, value)| value)
    }

    /// What requests of this kind are called when they are counted or made to fail, such as
    /// `list pods`, `get nodes/proxy`, `list pods.metrics.k8s.io` or `get /version`.
    pub(super) fn label(&self) -> String {
        if self.resource.is_empty() {
            return format!("{} {}", self.verb, self.path);
        }
        let mut label = format!("{} {}", self.verb, self.resource);
        if !self.subresource.is_empty() {
            label.push('/');
            label.push_str(&self.subresource);
        }
        if self.group == METRICS_GROUP {
            label.push('.');
            label.push_str(METRICS_GROUP);
        }
        label
    }

    /// What the policy is asked.
    pub(super) fn access(&self, user: &User) -> AccessRequest {
        let path = if self.resource.is_empty() { self.path.clone() } else { String::new() };
        AccessRequest {
            user: user.name.clone(),
            groups: user.groups.clone(),
            verb: self.verb.to_owned(),
            group: self.group.clone(),
            resource: self.resource.clone(),
            subresource: self.subresource.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            path,
        }
    }

    /// The kind of stored object that the path is about.
    pub(super) fn stored(&self) -> Option<&'static Resource> {
        let resource = by_plural(&self.resource)?;
        (resource.group == self.group && resource.version == self.version).then_some(resource)
    }

    /// Which objects a list or a watch is to give.
    pub(super) fn wanted(&self, resource: &'static Resource) -> Result<Wanted, String> {
        let (labels, fields) = (self.parameter("labelSelector"), self.parameter("fieldSelector"));
        let selector = Selector::parse(labels, fields, resource)?;
        Ok(Wanted { resource, namespace: self.namespace.clone(), selector })
    }

    /// The key of the one object that the path names.
    pub(super) fn key(&self) -> String {
        if self.namespace.is_empty() {
            self.name.clone()
        } else {
            format!("{}/{}", self.namespace, self.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uri: &str) -> Asked {
        Asked::new(&Method::GET, &uri.parse().unwrap())
    }

    #[test]
    fn paths_are_read() {
        for (uri, label, key) in [
            ("/version", "get /version", ""),
            ("/api/v1/pods?limit=5", "list pods", ""),
            ("/api/v1/pods?watch=1", "watch pods", ""),
            ("/api/v1/namespaces/shop", "get namespaces", "shop"),
            ("/api/v1/namespaces/shop/pods", "list pods", "shop/"),
            ("/api/v1/namespaces/shop/pods/a", "get pods", "shop/a"),
            ("/api/v1/nodes/n/proxy/stats/summary", "get nodes/proxy", "n"),
            ("/apis/metrics.k8s.io/v1beta1/nodes", "list nodes.metrics.k8s.io", ""),
            ("/apis/apps/v1", "get /apis/apps/v1", ""),
        ] {
            let asked = asked(uri);
            assert_eq!((asked.label().as_str(), asked.key().as_str()), (label, key), "{uri}");
        }
        assert_eq!(asked("/api/v1/nodes/n/proxy/stats/summary").rest, "/stats/summary");
        let selected = asked("/api/v1/pods?fieldSelector=spec.nodeName%3Dn");
        assert_eq!(selected.parameter("fieldSelector"), "spec.nodeName=n");
    }
}
