//! Who may do what in a simulated cluster: certificate authorities, tokens, client certificates and
//! a policy. The API server and the kubelets of a cluster share one of these, as real ones do.

mod certificates;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

pub use certificates::ClientIdentity;
pub(crate) use certificates::{CertificateAuthority, trust_anything};
use rustls::pki_types::CertificateDer;

/// Somebody who was recognised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// The name, such as `system:serviceaccount:kube-system:heapster`.
    pub name: String,
    /// The groups.
    pub groups: Vec<String>,
}

impl User {
    /// A user of these groups.
    #[must_use]
    pub fn new(name: &str, groups: &[&str]) -> Self {
        Self { name: name.into(), groups: groups.iter().map(|&group| group.to_owned()).collect() }
    }

    /// Who shows no credentials.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::new("system:anonymous", &["system:unauthenticated"])
    }

    fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}

/// What somebody wants to do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AccessRequest {
    /// The user's name.
    pub user: String,
    /// The user's groups.
    pub groups: Vec<String>,
    /// `get`, `list`, `watch`, ...
    pub verb: String,
    /// API group; empty for the core group.
    pub group: String,
    /// The resource, such as `pods`; empty for a path that is none.
    pub resource: String,
    /// The part of it, such as `proxy`.
    pub subresource: String,
    /// Namespace; empty for all of them, and for what has none.
    pub namespace: String,
    /// The object's name; empty for all.
    pub name: String,
    /// The path, where it is no resource.
    pub path: String,
}

type Policy = dyn Fn(&AccessRequest) -> bool + Send + Sync;

/// The credentials and the policy of a cluster.
pub struct Authority {
    /// Signs the certificates of servers and clients of the cluster.
    pub(crate) cluster: CertificateAuthority,
    /// Signs the certificate by which aggregated servers know the API server.
    pub(crate) front_proxy: CertificateAuthority,
    tokens: RwLock<HashMap<String, User>>,
    certificates: RwLock<HashMap<Vec<u8>, User>>,
    policy: RwLock<Arc<Policy>>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// New authorities, no tokens, and a policy that lets in everybody who is recognised.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            cluster: CertificateAuthority::new("kubernetes")?,
            front_proxy: CertificateAuthority::new("front-proxy-ca")?,
            tokens: RwLock::default(),
            certificates: RwLock::default(),
            policy: RwLock::new(Arc::new(everybody_recognised)),
        })
    }

    /// The certificate that servers and clients of the cluster are signed with, as PEM.
    #[must_use]
    pub fn cluster_ca_pem(&self) -> &str {
        self.cluster.pem()
    }

    /// The certificate that the API server's own client certificate for aggregated servers is
    /// signed with, as PEM.
    #[must_use]
    pub fn front_proxy_ca_pem(&self) -> &str {
        self.front_proxy.pem()
    }

    /// Makes a bearer token that stands for a user from now on.
    pub fn set_token(&self, token: &str, user: User) {
        self.tokens.write().unwrap_or_else(PoisonError::into_inner).insert(token.into(), user);
    }

    /// Lets a bearer token expire.
    pub fn expire_token(&self, token: &str) {
        self.tokens.write().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    /// A client certificate for a user.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn client(&self, user: User) -> anyhow::Result<ClientIdentity> {
        let identity = self.cluster.client(&user.name, user.groups.first().map(String::as_str))?;
        let der = identity.certificate_der().to_vec();
        self.certificates.write().unwrap_or_else(PoisonError::into_inner).insert(der, user);
        Ok(identity)
    }

    /// A client certificate of a common name, valid until then.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn client_until(&self, name: &str, until: SystemTime) -> anyhow::Result<ClientIdentity> {
        self.cluster.client_until(name, until)
    }

    /// A serving certificate for names and addresses, and its key, both as PEM.
    ///
    /// # Errors
    /// When a name is none.
    pub fn serving(&self, names: &[&str]) -> anyhow::Result<ClientIdentity> {
        self.cluster.serving(names)
    }

    /// Replaces the policy. Members of `system:masters` may do everything, whatever it says.
    pub fn set_policy(&self, policy: impl Fn(&AccessRequest) -> bool + Send + Sync + 'static) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    /// Whether the policy allows it.
    #[must_use]
    pub fn allows(&self, request: &AccessRequest) -> bool {
        if request.groups.iter().any(|group| group == "system:masters") {
            return true;
        }
        let policy = Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner));
        policy(request)
    }

    /// Whose bearer token it is.
    #[must_use]
    pub fn token_user(&self, token: &str) -> Option<User> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        tokens.get(token).cloned().map(authenticated)
    }

    /// Whose certificate it is, which the TLS handshake has found to be of this cluster.
    pub(crate) fn certificate_user(&self, certificate: &CertificateDer<'_>) -> Option<User> {
        let certificates = self.certificates.read().unwrap_or_else(PoisonError::into_inner);
        certificates.get(certificate.as_ref()).cloned().map(authenticated)
    }

    /// Who makes a request. A certificate counts before a token; `Err` for a token that nobody has.
    pub(crate) fn recognise(
        &self,
        certificate: Option<&User>,
        headers: &hyper::HeaderMap,
    ) -> Result<User, UnknownToken> {
        if let Some(user) = certificate {
            return Ok(user.clone());
        }
        let Some(header) = headers.get(hyper::header::AUTHORIZATION) else {
            return Ok(User::anonymous());
        };
        let token = header.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
        token.and_then(|token| self.token_user(token.trim())).ok_or(UnknownToken)
    }
}

/// A request had a bearer token that stands for nobody.
pub(crate) struct UnknownToken;

/// Each recognised user is in this group, as in a real cluster.
fn authenticated(mut user: User) -> User {
    if !user.is_in("system:authenticated") {
        user.groups.push("system:authenticated".into());
    }
    user
}

/// Paths that say nothing of what runs in the cluster.
const PUBLIC_PATHS: [&str; 4] = ["/healthz", "/livez", "/readyz", "/version"];

fn everybody_recognised(request: &AccessRequest) -> bool {
    let recognised = request.groups.iter().any(|group| group == "system:authenticated");
    recognised || PUBLIC_PATHS.contains(&request.path.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An expired token is no longer anybody's, and is not taken for a missing one.
    #[test]
    fn tokens_stand_for_users_until_they_expire() {
        let authority = Authority::new().unwrap();
        authority.set_token("secret", User::new("heapster", &[]));
        let headers = [("authorization", "Bearer secret")];
        let headers = headers.map(|(name, value)| {
            (hyper::header::HeaderName::from_static(name), value.parse().unwrap())
        });
        let headers = hyper::HeaderMap::from_iter(headers);
        let user = authority.recognise(None, &headers).ok().unwrap();
        assert_eq!(user, User::new("heapster", &["system:authenticated"]));
        authority.expire_token("secret");
        assert!(authority.recognise(None, &headers).is_err());
        let nobody = authority.recognise(None, &hyper::HeaderMap::new()).ok().unwrap();
        assert_eq!(nobody, User::anonymous());
    }

    #[test]
    fn the_policy_decides_for_all_but_masters() {
        let authority = Authority::new().unwrap();
        let ask = |group: &str| AccessRequest {
            groups: vec![group.into()],
            verb: "list".into(),
            resource: "pods".into(),
            ..AccessRequest::default()
        };
        assert!(authority.allows(&ask("system:authenticated")));
        assert!(!authority.allows(&ask("system:unauthenticated")));
        authority.set_policy(|_| false);
        assert!(!authority.allows(&ask("system:authenticated")));
        assert!(authority.allows(&ask("system:masters")));
    }
}
