//! A service account's word for who it is: a JWT, signed with its key (RS256).

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::json;

use super::{SCOPES, file::ServiceAccount};

/// The longest life that Google takes.
const LIFE_SECONDS: i64 = 3600;

/// The word of an account, given now.
///
/// # Errors
/// A sentence, when its key is no good.
pub(super) fn assertion(account: &ServiceAccount, now: Timestamp) -> Result<String, String> {
    let wrong = |what: &str| format!("the key of {} {what}", account.client_email);
    let pem = account.private_key.expose().as_bytes();
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| wrong("is no PKCS #8 in PEM"))?;
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der())
        .map_err(|error| wrong(&format!("cannot be used: {error}")))?;
    let message = message(account, now);
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
        .map_err(|_| wrong("cannot sign"))?;
    Ok(format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
}

fn message(account: &ServiceAccount, now: Timestamp) -> String {
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": account.private_key_id});
    let claims = json!({
        "iss": account.client_email,
        "scope": SCOPES,
        "aud": account.token_uri,
        "iat": now.as_second(),
        "exp": now.as_second() + LIFE_SECONDS,
    });
    let encoded = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encoded(header), encoded(claims))
}
