//! What is wrong with the connection to the master, in words for a user.

use std::{error::Error, io};

use tonic::Status;

/// Why there is no connection.
pub(super) fn of_connecting(error: &(dyn Error + 'static)) -> String {
    let why = match io_kind(error) {
        Some(io::ErrorKind::ConnectionRefused) => {
            "connection refused; nothing listens there".to_owned()
        }
        _ => root_cause(error),
    };
    format!("cannot connect: {why}")
}

/// Why the master did not answer Hello. Where that is no answer of a master's, it may not be one.
pub(super) fn of_greeting(status: &Status) -> String {
    let Some(error) = status.source() else { return of_session(status) };
    let what = match io_kind(error) {
        Some(_) => "the connection ended before the master answered",
        // Something answered, and not in frames of HTTP/2.
        None => "what answers there does not speak gRPC",
    };
    let cause = root_cause(error);
    format!(
        "{what} ({cause}): check that --master has the address of the master's --grpc-listen, by default port 8085, and begins with https:// where the master has a certificate"
    )
}

/// Why a session ended: in the master's words, or that it is gone.
pub(super) fn of_session(status: &Status) -> String {
    match (status.source(), status.message()) {
        (Some(error), _) => format!("the connection was lost: {}", root_cause(error)),
        (None, "") => status.code().to_string(),
        (None, message) => message.to_owned(),
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (**error).source())
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let io = chain(error).find_map(|cause| cause.downcast_ref::<io::Error>())?;
    Some(io.kind())
}

/// The last of an error's causes: transports hide there what went wrong.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_says_why_it_ends_a_session() {
        assert_eq!(of_session(&Status::unavailable("going away")), "going away");
        assert_eq!(of_session(&Status::unavailable("")), tonic::Code::Unavailable.to_string());
        assert_eq!(of_greeting(&Status::unimplemented("no such service")), "no such service");
    }

    #[test]
    fn a_lost_connection_is_called_so() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let status = Status::from_error(Box::new(reset));
        assert_eq!(of_session(&status), "the connection was lost: connection reset");
        let greeting = of_greeting(&status);
        assert!(greeting.starts_with("the connection ended before the master answered"));
        assert!(greeting.contains("--grpc-listen"), "{greeting}");
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(
            of_connecting(&refused),
            "cannot connect: connection refused; nothing listens there"
        );
    }
}
