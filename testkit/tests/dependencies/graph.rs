//! Crates and who depends on whom, read from cargo or made up.

use std::{
    collections::{HashMap, VecDeque},
    path::Path,
    process::Command,
};

use serde_json::Value;

/// A crate in one version.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Its licence expression; empty where it names none.
    pub(crate) licence: String,
    /// Where it comes from; empty for a folder of this machine.
    pub(crate) source: String,
    /// The path of its `Cargo.toml`.
    pub(crate) manifest: String,
    is_member: bool,
    dependencies: Vec<usize>,
}

/// All crates that are built.
pub(crate) struct Graph {
    pub(crate) packages: Vec<Package>,
}

impl Graph {
    /// Asks cargo, without the network, for the platform that it builds for.
    pub(crate) fn of_workspace(root: &Path) -> Self {
        let platform = host(root);
        let arguments =
            ["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform"];
        let output = run(root, "cargo", &[arguments.as_slice(), &[platform.as_str()]].concat());
        let metadata: Value = serde_json::from_str(&output).unwrap();
        let members: Vec<&str> = strings(&metadata["workspace_members"]).collect();
        let listed = metadata["packages"].as_array().unwrap();
        let ids = listed.iter().enumerate().map(|(index, it)| (text(it, "id"), index));
        let ids: HashMap<&str, usize> = ids.collect();
        let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
        let nodes = nodes.iter().map(|node| (text(node, "id"), &node["dependencies"]));
        let nodes: HashMap<&str, &Value> = nodes.collect();
        let packages = listed.iter().map(|it| Package {
            name: text(it, "name").to_owned(),
            version: text(it, "version").to_owned(),
            licence: text(it, "license").to_owned(),
            source: text(it, "source").to_owned(),
            manifest: text(it, "manifest_path").to_owned(),
            is_member: members.contains(&text(it, "id")),
            dependencies: strings(nodes[text(it, "id")]).map(|id| ids[id]).collect(),
        });
        Self { packages: packages.collect() }
    }

    /// A graph of these: name, version, licence, source, and the names of what it depends on, where
    /// `last` is the last of the list. The first is the workspace's member.
    pub(crate) fn of(packages: &[(&str, &str, &str, &str, &[&str])]) -> Self {
        let place = |wanted: &&str| {
            let found = packages.iter().position(|(name, ..)| name == wanted);
            found.unwrap_or(packages.len() - 1)
        };
        let package = |(index, it): (usize, &(&str, &str, &str, &str, &[&str]))| Package {
            name: it.0.to_owned(),
            version: it.1.to_owned(),
            licence: it.2.to_owned(),
            source: it.3.to_owned(),
            manifest: String::new(),
            is_member: index == 0,
            dependencies: it.4.iter().map(place).collect(),
        };
        Self { packages: packages.iter().enumerate().map(package).collect() }
    }

    /// The crates of the workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.is_member)
    }

    /// The crates of others.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| !package.is_member)
    }

    /// The shortest way from a crate up to a member of the workspace, in words.
    pub(crate) fn brought_by(&self, package: &Package) -> String {
        let start = self.packages.iter().position(|it| std::ptr::eq(it, package)).unwrap();
        let mut came_from: HashMap<usize, usize> = HashMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(lower) = queue.pop_front() {
            if self.packages[lower].is_member {
                return self.way(lower, start, &came_from);
            }
            for (upper, it) in self.packages.iter().enumerate() {
                let is_new = upper != start && !came_from.contains_key(&upper);
                if is_new && it.dependencies.contains(&lower) {
                    came_from.insert(upper, lower);
                    queue.push_back(upper);
                }
            }
        }
        "nobody".to_owned()
    }

    fn way(&self, member: usize, start: usize, came_from: &HashMap<usize, usize>) -> String {
        let steps = std::iter::successors(Some(member), |step| came_from.get(step).copied());
        let mut names: Vec<String> = steps
            .take_while(|step| *step != start)
            .map(|step| format!("{} {}", self.packages[step].name, self.packages[step].version))
            .collect();
        names.reverse();
        names.join(", for ")
    }

    /// A violation by a crate.
    pub(crate) fn violation(&self, package: &Package, what: &str) -> String {
        let Package { name, version, .. } = package;
        format!("{name} {version} (brought by {}): {what}", self.brought_by(package))
    }
}

/// The platform that is built for when nobody says otherwise.
fn host(root: &Path) -> String {
    let version = run(root, "rustc", &["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

/// What a program of the tool chain prints.
fn run(root: &Path, program: &str, arguments: &[&str]) -> String {
    let program = std::env::var(program.to_uppercase()).unwrap_or_else(|_| program.to_owned());
    let output = Command::new(&program).args(arguments).current_dir(root).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().unwrap().iter().map(|it| it.as_str().unwrap())
}
