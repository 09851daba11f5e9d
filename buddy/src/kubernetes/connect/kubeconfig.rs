//! A kubeconfig and one of its contexts.

use std::path::{Path, PathBuf};

use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig},
};

/// The configuration that a context of a kubeconfig stands for; the files that `KUBECONFIG` names,
/// else `~/.kube/config`, where no file is given.
///
/// # Errors
/// A sentence.
pub(super) async fn load(file: Option<&Path>, context: Option<&str>) -> Result<Config, String> {
    let (kubeconfig, name) = read(file)?;
    check_context(&kubeconfig, context).map_err(|error| format!("{name} {error}"))?;
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..Default::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.map_err(|error| format!("{name}: {error}"))?;
    if let Some(proxy) = config.proxy_url.take() {
        // From the kubeconfig or from HTTPS_PROXY; either way nothing would go through it.
        let proxy = proxy.host().unwrap_or_default();
        tracing::warn!(%proxy, "the API server is asked directly, not through this proxy");
    }
    Ok(config)
}

/// The files whose change changes the configuration, as far as they can be read: the kubeconfigs, and
/// what the context names.
pub(super) fn files(file: Option<&Path>, context: Option<&str>) -> Vec<PathBuf> {
    let mut files = match file {
        Some(file) => vec![file.to_owned()],
        None => default_files(),
    };
    let Ok((kubeconfig, _)) = read(file) else { return files };
    files.extend(files_of(&kubeconfig, context));
    files
}

/// The files that a context names.
fn files_of(kubeconfig: &Kubeconfig, context: Option<&str>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Some(context) = context.or(kubeconfig.current_context.as_deref()) else { return files };
    let named = kubeconfig.contexts.iter().find(|named| named.name == context);
    let Some(context) = named.and_then(|named| named.context.as_ref()) else { return files };
    let clusters = kubeconfig.clusters.iter().filter(|named| named.name == context.cluster);
    let authorities =
        clusters.filter_map(|named| named.cluster.as_ref()?.certificate_authority.as_ref());
    files.extend(authorities.map(PathBuf::from));
    let users = kubeconfig.auth_infos.iter();
    let users = users.filter(|named| Some(&named.name) == context.user.as_ref());
    for user in users.filter_map(|named| named.auth_info.as_ref()) {
        let pair = [&user.client_certificate, &user.client_key].into_iter().flatten();
        files.extend(pair.map(PathBuf::from));
    }
    files
}

/// What is made of a kubeconfig's text before anything that it names is opened: its contexts are
/// checked, and the files of the one that is chosen found.
///
/// # Errors
/// A sentence.
pub(in crate::kubernetes) fn check(text: &str, context: &str) -> Result<Vec<PathBuf>, String> {
    let context = (!context.is_empty()).then_some(context);
    let kubeconfig = Kubeconfig::from_yaml(text).map_err(|error| error.to_string())?;
    check_context(&kubeconfig, context)?;
    Ok(files_of(&kubeconfig, context))
}

/// Those that `KUBECONFIG` names, else that of the user.
fn default_files() -> Vec<PathBuf> {
    let named = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let named: Vec<PathBuf> =
        std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).collect();
    if !named.is_empty() {
        return named;
    }
    let home = std::env::home_dir().map(|home| home.join(".kube").join("config"));
    home.into_iter().collect()
}

/// The file, or the default ones, and what to call it.
fn read(file: Option<&Path>) -> Result<(Kubeconfig, String), String> {
    let Some(path) = file else {
        let read = Kubeconfig::read();
        let named = std::env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty());
        let name = if named { "the kubeconfig of KUBECONFIG" } else { "~/.kube/config" };
        let read = read.map_err(|error| format!("{name} cannot be read: {error}"))?;
        return Ok((read, name.to_owned()));
    };
    let name = format!("kubeconfig {}", path.display());
    // Asked first, for the library's own words for a missing file name its path twice.
    std::fs::metadata(path).map_err(|error| format!("{name}: {error}"))?;
    let read = Kubeconfig::read_from(path).map_err(|error| format!("{name}: {error}"))?;
    Ok((read, name))
}

fn check_context(kubeconfig: &Kubeconfig, context: Option<&str>) -> Result<(), String> {
    let known: Vec<&str> =
        kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    let current = kubeconfig.current_context.as_deref().filter(|context| !context.is_empty());
    match context.or(current) {
        _ if known.is_empty() => Err("has no contexts".to_owned()),
        Some(context) if known.contains(&context) => Ok(()),
        Some(context) => {
            Err(format!("has no context `{context}`; the known ones are {}", known.join(", ")))
        }
        None => {
            Err(format!("has no current context; choose one with `context`: {}", known.join(", ")))
        }
    }
}
