//! `heapster cert`: an authority, the master's certificate, and those of buddies, for who has no
//! authority of his own.

pub(crate) mod authority;

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::bail;
use authority::{Authority, Signed};
use clap::{Args, Subcommand};
use heapster_shared::access::{Credential, Glob, Proof, Role};

use crate::{
    examples,
    secret_file::{self, Existing, PRIVATE, PUBLIC, shell_word},
};

/// What to do with certificates.
#[derive(Args, Debug)]
pub(crate) struct CertArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Make the certificate of a master, and the authority that signs it
    ///
    /// The directory gets ca.crt and ca.key, which are valid for ten years, and master.crt and
    /// master.key, which are valid for one. An authority that is there already is used again: with
    /// --force this renews the master's certificate, and buddies need nothing new.
    #[command(after_help = examples::CERT_NEW)]
    New(NewArgs),
    /// Make a certificate by which a buddy, or a person, is known
    ///
    /// It is signed by the authority that `heapster cert new` made, valid for one year, and written to
    /// NAME.crt and NAME.key. To take it back, delete its entry from the master's credentials.
    #[command(after_help = examples::CERT_BUDDY)]
    Buddy(BuddyArgs),
}

#[derive(Args, Debug)]
struct NewArgs {
    /// Where the files go; it is made where it does not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// A name or address by which buddies and browsers reach the master; may be given several times.
    /// Those of the machine itself, such as localhost, are always added
    #[arg(long = "host", value_name = "NAME", required = true)]
    hosts: Vec<String>,
    /// Replace the master's certificate, if there is one
    #[arg(long)]
    force: bool,
}

#[derive(Args, Debug)]
struct BuddyArgs {
    /// Where `heapster cert new` has put the authority
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Who it is
    #[arg(long, value_name = "NAME")]
    name: String,
    /// A cluster that the buddy may speak for, for the entry that is printed
    #[arg(long = "cluster", value_name = "GLOB", default_value = "default")]
    clusters: Vec<Glob>,
    /// Replace the certificate of this name, if there is one
    #[arg(long)]
    force: bool,
}

/// Makes certificates.
pub(crate) fn run(args: &CertArgs) -> anyhow::Result<()> {
    let told = match &args.action {
        Action::New(args) => new(args)?,
        Action::Buddy(args) => buddy(args)?,
    };
    std::io::stdout().lock().write_all(told.as_bytes())?;
    Ok(())
}

const fn existing(force: bool) -> Existing {
    if force { Existing::Replace } else { Existing::Keep }
}

/// Writes a certificate and its key; what is to be kept is seen before anything is written.
fn write(folder: &Path, name: &str, signed: &Signed, existing: Existing) -> anyhow::Result<()> {
    let (certificate, key) =
        (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
    for path in [&certificate, &key] {
        if existing == Existing::Keep && path.exists() {
            bail!("{} exists already: give --force to replace it", path.display());
        }
    }
    // Until both are there they do not go together, and a running master keeps those of before.
    secret_file::write(&key, signed.key.as_bytes(), PRIVATE, existing)?;
    secret_file::write(&certificate, signed.certificate.as_bytes(), PUBLIC, existing)
}

fn new(args: &NewArgs) -> anyhow::Result<String> {
    secret_file::make_folder(&args.folder)?;
    let _locked = secret_file::lock_beside(&args.folder.join("ca.crt"))?;
    let (authority, made) = match Authority::read(&args.folder)? {
        Some(authority) => (authority, None),
        None => Authority::new().map(|(authority, signed)| (authority, Some(signed)))?,
    };
    let signed = authority.serving(&args.hosts)?;
    if !args.force && args.folder.join("master.crt").exists() {
        bail!(
            "{} has a master's certificate already: give --force to renew it",
            args.folder.display()
        );
    }
    if let Some(made) = made {
        write(&args.folder, "ca", &made, Existing::Keep)?;
    }
    write(&args.folder, "master", &signed, existing(args.force))?;
    Ok(advice_of_new(&args.folder, &args.hosts[0]))
}

fn advice_of_new(folder: &Path, host: &str) -> String {
    let path = |name: &str| shell_word(&folder.join(name));
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let (ca, certificate, key) = (path("ca.crt"), path("master.crt"), path("master.key"));
    let (credentials, token) = (path("credentials.toml"), path("lab.token"));
    format!(
        "\
{ca} says whom to believe: buddies and browsers need it.
{key}, and the authority's own key beside it, are secret; keep the latter away from the master.

Make a token for the buddies of a cluster, here lab:
  heapster token new lab --cluster lab --file {credentials} --token-file {token}
Start the master:
  heapster master --grpc-listen 0.0.0.0:8085 --tls-cert {certificate} --tls-key {key} --credentials {credentials}
Start a buddy, with copies of the two files:
  heapster buddy --master https://{host}:8085 --master-ca {ca} --token-file {token} --cluster lab
"
    )
}

fn buddy(args: &BuddyArgs) -> anyhow::Result<String> {
    check_name(&args.name)?;
    let Some(authority) = Authority::read(&args.folder)? else {
        let folder = shell_word(&args.folder);
        bail!(
            "{folder} has no authority (ca.crt and ca.key): make one with `heapster cert new {folder} --host NAME`"
        );
    };
    let signed = authority.client(&args.name)?;
    write(&args.folder, &args.name, &signed, existing(args.force))?;
    Ok(advice_of_buddy(args))
}

/// Whether a file can have the name, and not be another one.
fn check_name(name: &str) -> anyhow::Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(legal) {
        bail!("--name {name}: write 1 to 64 letters, digits, `.`, `_`, `-` or `@`");
    }
    if matches!(name, "ca" | "master") {
        bail!(
            "--name {name}: these files are the authority's and the master's; choose another name"
        );
    }
    Ok(())
}

fn advice_of_buddy(args: &BuddyArgs) -> String {
    let path = |name: &str| shell_word(&args.folder.join(name));
    let name = &args.name;
    let (certificate, key) = (path(&format!("{name}.crt")), path(&format!("{name}.key")));
    let (ca, master, master_key) = (path("ca.crt"), path("master.crt"), path("master.key"));
    let cluster = args.clusters.iter().map(Glob::text).find(|text| !text.contains('*'));
    let cluster = cluster.unwrap_or("CLUSTER");
    let entry = Credential {
        name: name.clone(),
        proof: Proof::Certificate(name.clone()),
        clusters: args.clusters.clone(),
        roles: Role::ALL.to_vec(),
        access: None,
    };
    format!(
        "\
{certificate} and {key} say who the buddy is; the key is secret.

Start the master so that it knows the authority:
  heapster master --grpc-listen 0.0.0.0:8085 --tls-cert {master} --tls-key {master_key} --tls-client-ca {ca}
Start the buddy, with copies of the three files:
  heapster buddy --master https://HOST:8085 --master-ca {ca} --cert {certificate} --key {key} --cluster {cluster}
A master with --credentials FILE lets it in by this entry, and for no other cluster:
{}",
        entry.to_toml()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_files_of_others_are_refused() {
        for name in ["ca", "master", "", ".", "a/b", "../x", "a b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        check_name("lab-1@example.org").unwrap();
    }
}
