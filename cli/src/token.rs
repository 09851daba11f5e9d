//! `heapster token new`: a token for a buddy or a person, and its entry in a master's credentials.

use std::{fs, io::Write, path::Path, path::PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use heapster_shared::access::{Access, Credential, Credentials, Glob, Proof, Role, Token};

use crate::{
    examples,
    secret_file::{self, Existing, PRIVATE, shell_word},
};

/// What to do with tokens.
#[derive(Args, Debug)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Make a token, print it once, and add its hash to a file of credentials
    ///
    /// The file is that of a master's --credentials, which takes it over within seconds. To take a
    /// token back, delete its entry: what was let in by it is cut off.
    #[command(after_help = examples::TOKEN_NEW)]
    New(NewArgs),
}

#[derive(Args, Debug)]
struct NewArgs {
    /// What pages and logs call it
    name: String,
    /// A cluster that a buddy may speak for, where * stands for anything, such as prod or 'eu-*'; may
    /// be given several times
    #[arg(long = "cluster", value_name = "GLOB")]
    clusters: Vec<Glob>,
    /// What such a buddy may do; may be given several times [default: everything]
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<RoleName>,
    /// What may be done by HTTP with it
    #[arg(long, value_name = "ACCESS")]
    access: Option<AccessName>,
    /// The file of credentials
    #[arg(long, value_name = "FILE", default_value = "credentials.toml")]
    file: PathBuf,
    /// Write the token to this file, for its owner to read, instead of printing it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum RoleName {
    Discovers,
    Polls,
    ObservesEvents,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AccessName {
    /// Look
    Read,
    /// Everything
    Admin,
}

/// Makes a token.
pub(crate) fn run(args: &TokenArgs) -> anyhow::Result<()> {
    let Action::New(args) = &args.action;
    let token = Token::generate().map_err(|error| anyhow!(error))?;
    let credential = args.credential(&token)?;
    // Written first: an entry without its token is no use, a token without its entry is no harm.
    if let Some(path) = &args.token_file {
        let line = format!("{}\n", token.expose());
        secret_file::write(path, line.as_bytes(), PRIVATE, Existing::Keep)
            .context("--token-file")?;
    }
    if let Err(error) = add(&args.file, &credential) {
        if let Some(path) = &args.token_file {
            let _ = fs::remove_file(path);
        }
        return Err(error);
    }
    if args.token_file.is_none() {
        writeln!(std::io::stdout().lock(), "{}", token.expose())?;
    }
    // A closed terminal is no reason to fail: all is done.
    let _ = std::io::stderr().lock().write_all(args.advice().as_bytes());
    Ok(())
}

impl NewArgs {
    fn credential(&self, token: &Token) -> anyhow::Result<Credential> {
        let roles: Vec<Role> = self.roles.iter().map(|role| role.role()).collect();
        let access = self.access.map(AccessName::access);
        let credential = Credential {
            name: self.name.clone(),
            proof: Proof::Token(token.hash()),
            clusters: self.clusters.clone(),
            roles: if roles.is_empty() { Role::ALL.to_vec() } else { roles },
            access,
        };
        // What is wrong with it is said in the words of the file's reader.
        let read = Credentials::parse(&credential.to_toml(), "the new entry");
        read.map_err(|error| {
            anyhow!(error.replace("the new entry:2: ", "")).context(
                "nothing was made: say what it is for, with --cluster for a buddy or --access for people",
            )
        })?;
        Ok(credential)
    }

    fn advice(&self) -> String {
        let file = self.file.display();
        let mut advice = format!(
            "added {:?} to {file}; a running master takes it over within seconds\n",
            self.name
        );
        if self.token_file.is_none() {
            advice.push_str("the token above is shown this once: keep it in a file\n");
        }
        if let Some(cluster) = self.clusters.first() {
            let token = self.token_file.as_deref().map_or_else(|| "FILE".to_owned(), shell_word);
            let cluster = if cluster.text().contains('*') { "CLUSTER" } else { cluster.text() };
            advice.push_str(&format!(
                "a buddy sends it with\n  heapster buddy --master https://HOST:8085 --master-ca ca.crt --token-file {token} --cluster {cluster}\n"
            ));
        }
        if self.access.is_some() {
            advice.push_str("HTTP takes it as `authorization: Bearer TOKEN`, and from a browser as the password\n");
        }
        advice
    }
}

/// Adds an entry to a file, which is made where there is none.
fn add(path: &Path, credential: &Credential) -> anyhow::Result<()> {
    let _locked = secret_file::lock_beside(path)?;
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => HEADER.to_owned(),
        read => read.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let name = path.display().to_string();
    let known = Credentials::parse(&text, &name).map_err(|error| anyhow!(error))?;
    known
        .check_new(credential)
        .map_err(|error| anyhow!("{name}: `{}`: {error}", credential.name))?;
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let text = format!("{text}{gap}{}", credential.to_toml());
    // As the master will read it.
    Credentials::parse(&text, &name).map_err(|error| anyhow!(error))?;
    secret_file::write(path, text.as_bytes(), PRIVATE, Existing::Replace)
}

const HEADER: &str = "# Who may connect to the master, see docs/security.md.\n";

impl RoleName {
    const fn role(self) -> Role {
        match self {
            Self::Discovers => Role::Discovers,
            Self::Polls => Role::Polls,
            Self::ObservesEvents => Role::ObservesEvents,
        }
    }
}

impl AccessName {
    const fn access(self) -> Access {
        match self {
            Self::Read => Access::Read,
            Self::Admin => Access::Admin,
        }
    }
}
