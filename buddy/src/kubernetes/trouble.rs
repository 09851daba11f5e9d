//! What went wrong with the API server, as a sentence for whoever runs the buddy.

use kube::core::Status;

/// What went wrong, and what to do about it where that is known.
pub(crate) fn sentence(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => of_status(status),
        kube::Error::Auth(error) => {
            format!("cannot log in: {error}; check the user of the kubeconfig")
        }
        kube::Error::SerdeError(error) => {
            format!("the answer is not that of an API server: {error}; check the address")
        }
        _ => with_advice(innermost(error)),
    }
}

/// An answer that says no.
fn of_status(status: &Status) -> String {
    let code = status.code;
    let message = status.message.trim().trim_end_matches('.');
    let message = if message.is_empty() { status.reason.as_str() } else { message };
    let advice = match code {
        401 => "; check the token or the client certificate",
        403 => "; give this user a ClusterRole that may `get`, `list` and `watch` it",
        404 => "; is this the address of an API server?",
        _ => "",
    };
    format!("the API server says {code}: {message}{advice}")
}

/// Whether the version that a watch wants to resume from is too old, or newer than the server has
/// (it was restored from a backup): either way only a new list helps.
pub(super) fn is_stale(status: &Status) -> bool {
    status.code == 410 || status.message.contains("Too large resource version")
}

/// The cause at the end of the chain, which is the one that can be acted on.
fn innermost(error: &kube::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn with_advice(cause: String) -> String {
    // The signature is wrong where a new authority has the name of the one that is trusted.
    let advice = if cause.contains("UnknownIssuer") || cause.contains("BadSignature") {
        "; who signed the API server's certificate is not trusted: name that certificate with `ca`"
    } else if cause.contains("NotValidForName") || cause.contains("not valid for name") {
        "; the API server's certificate is for another name: use that name in the address"
    } else if cause.contains("refused") {
        "; is an API server running there?"
    } else {
        ""
    };
    format!("{cause}{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        let status = |code, message| Status::failure(message, "Reason").with_code(code);
        for (status, expected) in [
            (status(403, "pods is forbidden."), "403: pods is forbidden; give this user"),
            (status(401, ""), "401: Reason; check the token"),
            (status(500, "etcd is away"), "500: etcd is away"),
        ] {
            let text = sentence(&kube::Error::Api(status.boxed()));
            assert!(text.contains(expected), "{text}");
        }
        assert!(is_stale(&status(410, "")) && !is_stale(&status(500, "")));
        assert!(is_stale(&status(504, "Timeout: Too large resource version: 9, current: 5")));
    }
}
