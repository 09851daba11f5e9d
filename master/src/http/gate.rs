//! Who may look: what a request shows is held against the rules before anything else reads it.
//!
//! `/healthz` and `/readyz` are open, for those who ask them have no credentials as a rule, and they
//! say nothing of what runs. Looking takes `read`; what changes something, and `/debug`, takes
//! `admin`. A token comes as `authorization: Bearer TOKEN`, or, so that a browser can ask for it, as
//! the password of `Basic` under whatever name.
//!
//! What changes something is refused to web pages, that is to requests with an `Origin`: a page of
//! anybody's that is open in a browser could make them with what the browser remembers, or to a
//! master that listens to this machine alone and asks nobody.

use std::{any::Any, sync::Arc};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{
    Error, HttpMessage as _, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{Extensions, ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header},
    middleware::Next,
    rt::net::TcpStream,
    web,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use heapster_shared::access::{Access, Token, TokenHash};
use rustls::pki_types::CertificateDer;

use super::{error::ErrorAnswer, html::escape};
use crate::access::{Door, Shown, Who, bearer};

const OPEN: [&str; 2] = ["/healthz", "/readyz"];
const CHALLENGE: &str = "Bearer realm=\"heapster\", Basic realm=\"heapster: the password is a token\", charset=\"UTF-8\"";
/// Longest header with a name and a password.
const MAX_BASIC_BYTES: usize = 2048;

const NOT_FOR_PAGES: &str = "nothing is changed for a web page: use a program such as curl";

/// Who makes the request has shown who he is, and was recognised.
pub(super) struct Identified;

/// The certificates that a client has shown on a connection.
struct Chain(Arc<[CertificateDer<'static>]>);

/// Keeps what a connection shows, for its requests.
pub(super) fn keep_chain(connection: &dyn Any, data: &mut Extensions) {
    let tls = connection.downcast_ref::<TlsStream<TcpStream>>();
    if let Some(chain) = tls.and_then(|tls| tls.get_ref().1.peer_certificates()) {
        data.insert(Chain(chain.into()));
    }
}

/// Lets a request through, or says why not.
pub(super) async fn check<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    match denial(&request) {
        None => next.call(request).await.map(ServiceResponse::map_into_left_body),
        Some((status, why)) => {
            let answer = answer(&request, status, &why);
            Ok(request.into_response(answer).map_into_right_body())
        }
    }
}

/// Why a request is not answered; nothing where it is.
fn denial(request: &ServiceRequest) -> Option<(StatusCode, String)> {
    // As it is routed: escapes that mean nothing are resolved in it.
    let path = request.match_info().as_str().trim_end_matches('/');
    if OPEN.contains(&path) {
        return None;
    }
    let Some(door) = request.app_data::<web::Data<Door>>() else {
        return Some((StatusCode::INTERNAL_SERVER_ERROR, "there are no rules here".to_owned()));
    };
    let rules = door.rules();
    let who = match rules.recognise(&shown(request)) {
        Ok(who) => who,
        Err(why) => return Some((StatusCode::UNAUTHORIZED, why)),
    };
    let needed = needed(request.method(), path);
    if !looks(request.method()) && request.headers().contains_key(header::ORIGIN) {
        return Some((StatusCode::FORBIDDEN, NOT_FOR_PAGES.to_owned()));
    }
    match rules.access(&who) {
        Some(access) if access >= needed => {
            if !matches!(who, Who::Anyone) {
                request.extensions_mut().insert(Identified);
            }
            None
        }
        access => Some((StatusCode::FORBIDDEN, forbidden(who.name(), needed, access))),
    }
}

fn looks(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn needed(method: &Method, path: &str) -> Access {
    let inside = path == "/debug" || path.starts_with("/debug/");
    if looks(method) && !inside { Access::Read } else { Access::Admin }
}

fn forbidden(name: &str, needed: Access, has: Option<Access>) -> String {
    let (needed, has) = (needed.name(), has.map_or("no", Access::name));
    format!(
        "this takes {needed} access, and {name:?} has {has} access: write access = \"{needed}\" into its entry in the master's credentials, or name its certificate in --allowed-users"
    )
}

fn shown(request: &ServiceRequest) -> Shown {
    let chain = request.conn_data::<Chain>().map(|Chain(chain)| Arc::clone(chain));
    let header = request.headers().get(header::AUTHORIZATION);
    let token = header.map(|header| token(header.as_bytes()));
    Shown { chain, token, is_within: false }
}

/// The token in a header `authorization`, of either kind.
pub(super) fn token(header: &[u8]) -> Result<TokenHash, &'static str> {
    basic(header).unwrap_or_else(|| bearer(header))
}

/// The token in a header of the kind that browsers send; nothing where it is of another kind.
fn basic(header: &[u8]) -> Option<Result<TokenHash, &'static str>> {
    let text = std::str::from_utf8(header).ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let wrong = "the password has to be a token, as `heapster token new` prints it";
    let token = || {
        let bytes = STANDARD.decode(encoded.trim()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (_, password) = text.split_once(':')?;
        Token::new(password).ok()
    };
    if header.len() > MAX_BASIC_BYTES {
        return Some(Err(wrong));
    }
    Some(token().map(|token| token.hash()).ok_or(wrong))
}

fn answer(request: &ServiceRequest, status: StatusCode, why: &str) -> HttpResponse {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    if status == StatusCode::UNAUTHORIZED {
        answer.insert_header((header::WWW_AUTHENTICATE, CHALLENGE));
    }
    let accepts = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if accepts.is_some_and(|accept| accept.contains("text/html")) {
        let (code, why) = (status.as_u16(), escape(why));
        return answer.content_type("text/html; charset=utf-8").body(format!(
            "<!doctype html><html lang=\"en\"><title>Heapster: {code}</title><p>{why}</p></html>"
        ));
    }
    answer.json(ErrorAnswer { error: why.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_sends_the_token_as_a_password() {
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text)).into_bytes();
        let hash = Token::new("abc").unwrap().hash();
        assert_eq!(basic(&header("me:abc")), Some(Ok(hash)));
        assert_eq!(basic(&header(":abc")), Some(Ok(hash)));
        assert!(matches!(basic(&header("abc")), Some(Err(_))));
        assert!(matches!(basic(&header(&format!("a:{}", "b".repeat(3000)))), Some(Err(_))));
        assert!(matches!(basic(b"Basic %%%"), Some(Err(_))));
        assert_eq!(basic(b"Bearer abc"), None);
    }

    #[test]
    fn looking_takes_less_than_changing() {
        assert_eq!(needed(&Method::GET, "/api/v1/clusters"), Access::Read);
        assert_eq!(needed(&Method::GET, "/debugger"), Access::Read);
        assert_eq!(needed(&Method::GET, "/debug/actors"), Access::Admin);
        assert_eq!(needed(&Method::POST, "/api/v1/sinks"), Access::Admin);
    }
}
