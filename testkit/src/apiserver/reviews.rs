//! Questions that other servers ask: whose token it is, and whether somebody may do something.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::respond::{self, Answer, Failure};
use crate::authority::{AccessRequest, Authority, User};

/// Answers the question that was posted to a resource, where it is one for questions.
pub(super) fn review(
    authority: &Authority,
    resource: &str,
    body: &[u8],
    asker: &User,
) -> Option<Result<Answer, Failure>> {
    let answer: fn(&Authority, &Value, &User) -> Value = match resource {
        "tokenreviews" => token_review,
        "subjectaccessreviews" => subject_access_review,
        "selfsubjectaccessreviews" => self_review,
        _ => return None,
    };
    let Ok(mut review) = serde_json::from_slice::<Value>(body) else {
        return Some(Err(Failure::unsupported_media_type()));
    };
    review["status"] = answer(authority, &review["spec"], asker);
    Some(Ok(respond::value(StatusCode::CREATED, &review)))
}

fn token_review(authority: &Authority, spec: &Value, _: &User) -> Value {
    let token = spec["token"].as_str().unwrap_or_default();
    match authority.token_user(token) {
        Some(user) => json!({
            "authenticated": true,
            "user": { "username": user.name, "uid": "", "groups": user.groups },
        }),
        None => json!({ "user": {}, "error": "[invalid bearer token, token lookup failed]" }),
    }
}

fn subject_access_review(authority: &Authority, spec: &Value, _: &User) -> Value {
    let groups = spec["groups"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let user = User {
        name: spec["user"].as_str().unwrap_or_default().to_owned(),
        groups: groups.map(str::to_owned).collect(),
    };
    decision(authority, spec, &user)
}

fn self_review(authority: &Authority, spec: &Value, asker: &User) -> Value {
    decision(authority, spec, asker)
}

fn decision(authority: &Authority, spec: &Value, user: &User) -> Value {
    let resource = &spec["resourceAttributes"];
    let other = &spec["nonResourceAttributes"];
    let text = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
    let verb = if other.is_null() { text(resource, "verb") } else { text(other, "verb") };
    let asked = AccessRequest {
        user: user.name.clone(),
        groups: user.groups.clone(),
        verb,
        group: text(resource, "group"),
        resource: text(resource, "resource"),
        subresource: text(resource, "subresource"),
        namespace: text(resource, "namespace"),
        name: text(resource, "name"),
        path: text(other, "path"),
    };
    if authority.allows(&asked) {
        json!({ "allowed": true, "reason": "the policy allows it" })
    } else {
        json!({ "allowed": false })
    }
}
