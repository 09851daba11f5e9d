//! What the API server is asked.

use std::collections::BTreeMap;

use hyper::{Request, header::CONTENT_TYPE};
use kube::Client;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Decision, User};
use crate::{
    kubernetes::sentence,
    metrics_api::{request::Attributes, status::GROUP},
};

const CONFIG_MAP: &str =
    "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
const TOKEN_REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/// The data of the config map that says whom to believe.
pub(super) async fn trust(client: &Client) -> Result<BTreeMap<String, String>, String> {
    #[derive(Deserialize)]
    struct ConfigMap {
        #[serde(default)]
        data: BTreeMap<String, String>,
    }
    let request = Request::get(CONFIG_MAP).body(Vec::new()).map_err(|error| error.to_string())?;
    let map: ConfigMap = send(client, request).await?;
    Ok(map.data)
}

/// Whose token it is.
pub(super) async fn token(client: &Client, token: &str) -> Result<Option<User>, String> {
    #[derive(Deserialize)]
    struct Review {
        #[serde(default)]
        status: Status,
    }
    #[derive(Deserialize, Default)]
    struct Status {
        #[serde(default)]
        authenticated: bool,
        #[serde(default)]
        user: User,
    }
    let spec = json!({ "token": token });
    let review: Review =
        post(client, TOKEN_REVIEWS, "authentication.k8s.io/v1", "TokenReview", spec).await?;
    let Status { authenticated, user } = review.status;
    Ok(authenticated.then_some(user).filter(|user| !user.name.is_empty()))
}

/// Whether somebody may do something.
pub(super) async fn access(
    client: &Client,
    user: &User,
    asked: &Attributes,
) -> Result<Decision, String> {
    #[derive(Deserialize)]
    struct Review {
        #[serde(default)]
        status: Status,
    }
    #[derive(Deserialize, Default)]
    struct Status {
        #[serde(default)]
        allowed: bool,
        #[serde(default)]
        reason: String,
    }
    let spec = access_spec(user, asked);
    let review: Review =
        post(client, ACCESS_REVIEWS, "authorization.k8s.io/v1", "SubjectAccessReview", spec)
            .await?;
    Ok(Decision { allowed: review.status.allowed, reason: review.status.reason })
}

fn access_spec(user: &User, asked: &Attributes) -> Value {
    let mut spec = json!({ "user": user.name, "groups": user.groups });
    if !user.uid.is_empty() {
        spec["uid"] = user.uid.as_str().into();
    }
    if !user.extra.is_empty() {
        spec["extra"] = json!(user.extra);
    }
    match asked {
        Attributes::Resource { verb, resource, namespace, name } => {
            spec["resourceAttributes"] = json!({
                "group": GROUP, "version": "v1beta1", "verb": verb, "resource": resource,
                "namespace": namespace, "name": name,
            });
        }
        Attributes::Path { verb, path } => {
            spec["nonResourceAttributes"] = json!({ "verb": verb, "path": path });
        }
    }
    spec
}

async fn post<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    version: &str,
    kind: &str,
    spec: Value,
) -> Result<T, String> {
    let review = json!({ "kind": kind, "apiVersion": version, "spec": spec });
    let body = serde_json::to_vec(&review).map_err(|error| error.to_string())?;
    let request = Request::post(path).header(CONTENT_TYPE, "application/json").body(body);
    send(client, request.map_err(|error| error.to_string())?).await
}

async fn send<T: DeserializeOwned>(
    client: &Client,
    request: Request<Vec<u8>>,
) -> Result<T, String> {
    client.request(request).await.map_err(|error| sentence(&error))
}
