//! Options of the influxdb sink: those of the Go Heapster 1.5, and those of InfluxDB 2 and 3.

use std::time::Duration;

use heapster_shared::{
    spec::{Spec, SpecError},
    units::{self, ByteSize},
};
use reqwest::Url;
use serde::Deserialize;

use crate::sinks::peer::{PeerOptions, Verification};

/// What follows the question mark. With `bucket` the API of version 2 is spoken, else that of 1.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Options {
    /// Database of the API of version 1; created when it is absent. Default `k8s`.
    pub(super) db: Option<String>,
    /// How long the database keeps samples: `30d`, `24h`; `0` as the database has it, which is for
    /// ever in a new one. Default `0`.
    pub(super) retention: String,
    /// Use https for a location without a scheme, or with http. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) secure: bool,
    /// Accept any certificate, as `tls=skip`. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) insecuressl: bool,
    /// Group metrics into measurements with several fields. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) withfields: bool,
    /// Value of the tag `cluster_name`. Default: the name of the row's cluster.
    pub(super) cluster_name: Option<String>,
    /// Leave counters out. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) disable_counter_metrics: bool,
    /// Write events too. Default `true`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) events: bool,
    /// Compress what is sent. Default `true`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) gzip: bool,
    /// The most that one request carries before compression. Default `4MiB`.
    pub(super) body_bytes: ByteSize,
    /// Organization of the API of version 2.
    pub(super) org: String,
    /// Bucket of the API of version 2; created when it is absent and the token may do so.
    pub(super) bucket: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            db: None,
            retention: "0".into(),
            secure: false,
            insecuressl: false,
            withfields: false,
            cluster_name: None,
            disable_counter_metrics: false,
            events: true,
            gzip: true,
            body_bytes: ByteSize::mib(4),
            org: String::new(),
            bucket: String::new(),
        }
    }
}

/// Where and as whom to write.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Without a path of the API, and without secrets.
    pub(super) base: Url,
    pub(super) account: Account,
    pub(super) store: Store,
    /// `None`: as the store has it.
    pub(super) retention: Option<Duration>,
}

/// As whom, for messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Account {
    None,
    User(String),
    Token,
}

/// Where samples are kept, which also says which API is spoken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Store {
    Database(String),
    Bucket { org: String, bucket: String },
}

/// Whose a password is that comes without a user, as in the ancestor.
const ANCESTORS_USER: &str = "root";
const DEFAULT_LOCATION: &str = "http://127.0.0.1:8086";
/// InfluxDB refuses retention policies that are shorter.
const SHORTEST_RETENTION: Duration = Duration::from_secs(3600);

impl Target {
    /// Takes the options of the connection and those of the database out of a spec.
    pub(super) fn take(spec: &mut Spec) -> Result<(Self, PeerOptions, Options), SpecError> {
        let wrong = |message: String| SpecError(format!("influxdb: {message}"));
        let has = |spec: &Spec, names: &[&str]| {
            spec.options.iter().any(|(name, _)| names.contains(&name.as_str()))
        };
        let names_password = has(spec, &["pw", "password", "password_file"]);
        if names_password && !has(spec, &["user", "username"]) {
            spec.options.push(("user".to_owned(), ANCESTORS_USER.to_owned()));
        }
        let (mut peer, options): (PeerOptions, Options) = PeerOptions::take(spec)?;
        if options.insecuressl {
            peer.tls = Verification::Skip;
        }
        let retention = parse_retention(&options.retention).map_err(wrong)?;
        let base = base(&spec.location, options.secure).map_err(wrong)?;
        let account = account(&peer);
        let store = store(&options, &account).map_err(wrong)?;
        Ok((Self { base, account, store, retention }, peer, options))
    }

    pub(super) fn place(&self) -> String {
        format!("InfluxDB at {}", self.base.as_str().trim_end_matches('/'))
    }

    pub(super) fn store(&self) -> String {
        match &self.store {
            Store::Database(name) => format!("database `{name}`"),
            Store::Bucket { org, bucket } if org.is_empty() => format!("bucket `{bucket}`"),
            Store::Bucket { org, bucket } => format!("bucket `{bucket}` of organization `{org}`"),
        }
    }

    pub(super) fn account(&self) -> String {
        match &self.account {
            Account::None => "writes without an account".into(),
            Account::User(user) => format!("user `{user}`"),
            Account::Token => "the token".into(),
        }
    }

    pub(super) fn account_advice(&self) -> String {
        let store = self.store();
        match (&self.account, &self.store) {
            (Account::None, Store::Database(_)) => {
                format!("give user=NAME and pw=PASSWORD of an account that may write to {store}")
            }
            (Account::None, Store::Bucket { .. }) => {
                format!("give token=TOKEN of one that may write to {store}")
            }
            (Account::User(_), _) => {
                format!("check user= and pw=, and that the user may write to {store}")
            }
            (Account::Token, _) => {
                format!("check token=, and that it may write to {store}")
            }
        }
    }

    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        let spec = "influxdb:http://h:8086?user=u&pw=hunter2";
        Self::take(&mut spec.parse().unwrap()).unwrap().0
    }
}

fn base(location: &str, secure: bool) -> Result<Url, String> {
    let location = if location.is_empty() { DEFAULT_LOCATION } else { location };
    let with_scheme =
        if location.contains("://") { location.to_owned() } else { format!("http://{location}") };
    let url = Url::parse(&with_scheme);
    let mut url = url.map_err(|error| format!("the location is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("the location must be like http://127.0.0.1:8086".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("write the account as options, user=NAME&pw=PASSWORD".into());
    }
    if secure {
        // It fails only for schemes that are no relatives of http.
        let _ = url.set_scheme("https");
    }
    Ok(url)
}

fn store(options: &Options, account: &Account) -> Result<Store, String> {
    if options.bucket.is_empty() {
        if !options.org.is_empty() || *account == Account::Token {
            return Err("org and token need bucket=NAME, where samples go".into());
        }
        let name = options.db.clone().unwrap_or_else(|| "k8s".into());
        if name.is_empty() {
            return Err("db must not be empty".into());
        }
        return Ok(Store::Database(name));
    }
    if options.db.is_some() {
        return Err("give either db=NAME, for InfluxDB 1, or bucket=NAME, for 2 and 3".into());
    }
    Ok(Store::Bucket { org: options.org.clone(), bucket: options.bucket.clone() })
}

fn account(peer: &PeerOptions) -> Account {
    if peer.has_token() {
        Account::Token
    } else if peer.user.is_empty() {
        Account::None
    } else {
        Account::User(peer.user.clone())
    }
}

/// A duration that may count in days and weeks.
fn parse_retention(text: &str) -> Result<Option<Duration>, String> {
    let text = text.trim();
    let days = |count: &str, days: u64| {
        let count = count
            .parse::<u64>()
            .map_err(|_| format!("`{text}` is no retention: write 24h, 30d or 8w"))?;
        Ok::<_, String>(Duration::from_secs(count.saturating_mul(days * 86_400)))
    };
    let duration = if let Some(count) = text.strip_suffix('d') {
        days(count, 1)?
    } else if let Some(count) = text.strip_suffix('w') {
        days(count, 7)?
    } else {
        units::parse_duration(text).map_err(|error| format!("retention: {error}, or 30d, 8w"))?
    };
    if duration.is_zero() {
        return Ok(None);
    }
    if duration < SHORTEST_RETENTION {
        return Err("retention must be 0 or at least 1h".into());
    }
    Ok(Some(duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(spec: &str) -> Result<Target, SpecError> {
        Target::take(&mut spec.parse().unwrap()).map(|(target, ..)| target)
    }

    #[test]
    fn the_ancestors_options_work() {
        let target = target(
            "influxdb:http://h:8086/x?user=u&pw=p&db=d&retention=30d&secure=true&insecuressl=1&\
             withfields=true&cluster_name=c&disable_counter_metrics=true",
        )
        .unwrap();
        assert_eq!(target.base.as_str(), "https://h:8086/x");
        assert_eq!(target.store, Store::Database("d".into()));
        assert_eq!(target.retention, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(target.account, Account::User("u".into()));
        let root = self::target("influxdb:http://h?pw=p").unwrap();
        assert_eq!(root.account, Account::User("root".into()));
    }

    #[test]
    fn defaults_and_bare_hosts() {
        let plain = target("influxdb").unwrap();
        assert_eq!(plain.base.as_str(), "http://127.0.0.1:8086/");
        assert_eq!(plain.store, Store::Database("k8s".into()));
        assert_eq!(target("influxdb:db.lan:8086").unwrap().base.as_str(), "http://db.lan:8086/");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (spec, part) in [
            ("influxdb:ftp://h", "http://127.0.0.1:8086"),
            ("influxdb:http://u:hunter2@h", "user=NAME&pw=PASSWORD"),
            ("influxdb:http://h?token=hunter2", "need bucket=NAME"),
            ("influxdb:http://h?bucket=b&db=d", "either db=NAME"),
            ("influxdb:http://h?db=", "db must not be empty"),
            ("influxdb:http://h?retention=5m", "at least 1h"),
            ("influxdb:http://h?retention=xd", "write 24h"),
            ("influxdb:http://h?retention=soon", "no duration"),
        ] {
            let error = target(spec).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("hunter2"), "{spec}: {error}");
        }
    }
}
