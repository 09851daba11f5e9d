//! The dashboards show something: each query of each panel, with its variables as Grafana puts them
//! in, is asked of a real InfluxDB that the real program filled.

mod query;

use std::{collections::BTreeSet, fs, time::Duration};

use heapster_testkit::{peer::Influxdb, process::Process, real_peer};
use query::{Dashboard, Values};
use serde_json::Value;

use super::{
    lab::Lab,
    render::{self, documents, of_kind},
    workload::containers,
};

const SOON: Duration = Duration::from_secs(60);
/// The database that the manifests name.
const DATABASE: &str = "k8s";

fn folder() -> std::path::PathBuf {
    render::folder().join("parts/grafana")
}

fn dashboards() -> Vec<Dashboard> {
    let mut files: Vec<_> = fs::read_dir(folder().join("dashboards"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|path| Dashboard::read(path)).collect()
}

/// Fills a database with the samples of a simulated cluster.
async fn fill(influxdb: &Influxdb) {
    let lab = Lab::start().await;
    let (kubernetes, summary) = (lab.kubernetes(), lab.kubelets("summary"));
    let sink = format!("influxdb:{}?db={DATABASE}&required=true", influxdb.url());
    let fixed = ["standalone", "--listen", "127.0.0.1:0", "--resolution", "1s", "--cluster", "lab"];
    let polling = ["--discovery", &kubernetes, "--source", &summary, "--sink", &sink];
    let arguments = fixed.iter().chain(&polling);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_heapster"));
    let mut process = Process::start(program, arguments).unwrap();
    let statement = "SELECT count(value) FROM \"cpu/usage_rate\" WHERE type = 'cluster'";
    let deadline = std::time::Instant::now() + SOON;
    loop {
        let answer = influxdb.query(DATABASE, statement).await;
        let count = answer.ok().and_then(|answer| {
            answer.pointer("/results/0/series/0/values/0/1").and_then(Value::as_u64)
        });
        if count >= Some(3) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "no samples: {}", process.output());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // An orderly end writes what still waits.
    assert!(process.terminate(SOON).unwrap().success(), "{}", process.output());
}

/// Each panel of each dashboard has data, under the names that its legend asks for.
#[tokio::test(flavor = "multi_thread")]
async fn every_panel_has_data() {
    let influxdb = real_peer!(Influxdb::start());
    fill(&influxdb).await;
    let (mut asked, mut failures) = (0, Vec::new());
    for dashboard in dashboards() {
        let values = choose(&influxdb, &dashboard).await;
        for target in dashboard.targets() {
            let statement = values.fill(&target.query);
            let answer = influxdb.query(DATABASE, &statement).await.unwrap();
            if let Err(error) = target.check(&answer) {
                let (title, panel) = (&dashboard.title, &target.panel);
                failures.push(format!("{title}: {panel}: {error}: {statement}"));
            }
            asked += 1;
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert!(asked >= 50, "{asked} queries only");
}

/// The variables of a dashboard, each chosen after those before it.
async fn choose(influxdb: &Influxdb, dashboard: &Dashboard) -> Values {
    let mut values = Values::default();
    for variable in dashboard.variables() {
        let found = match variable.query() {
            Some(query) => {
                let answer = influxdb.query(DATABASE, &values.fill(query)).await.unwrap();
                query::column(&answer, "value")
            }
            // What the user types: the simulation has no namespace named heapster.
            None => vec!["kube-system".to_owned()],
        };
        let (title, name) = (&dashboard.title, variable.name);
        assert!(!found.is_empty(), "{title}: nothing to choose for {name}");
        values.set(&variable, &found);
    }
    values
}

/// Grafana gets each dashboard there is, and knows the data source under the name that they use.
#[test]
fn dashboards_are_provisioned() {
    let dashboards = dashboards();
    let documents_of_master = render::render("master-with-grafana");
    if documents_of_master.is_empty() {
        return;
    }
    let mut maps = of_kind(&documents_of_master, "ConfigMap");
    let map = maps.find(|map| map["data"].get("cluster.json").is_some()).unwrap();
    let provisioned: BTreeSet<&str> =
        map["data"].as_object().unwrap().keys().map(String::as_str).collect();
    let there: BTreeSet<&str> = dashboards.iter().map(|one| one.file.as_str()).collect();
    assert_eq!(provisioned, there);

    let text = fs::read_to_string(folder().join("datasources.yaml")).unwrap();
    let source = documents(&text)[0]["datasources"][0].clone();
    let (uid, url) = (source["uid"].as_str().unwrap(), source["url"].as_str().unwrap());
    for dashboard in &dashboards {
        assert_eq!(dashboard.sources(), BTreeSet::from([uid.to_owned()]), "{}", dashboard.file);
    }
    let uids: BTreeSet<_> = dashboards.iter().map(|one| one.uid.clone()).collect();
    assert_eq!(uids.len(), dashboards.len(), "two dashboards have one uid");
    assert_eq!(source["jsonData"]["dbName"], DATABASE);
    let master = containers("master-with-grafana", &documents_of_master);
    let master = master.iter().find(|one| one.image() == "heapster-master").unwrap();
    let sink = &master.environment()["HEAPSTER_SINK"];
    assert!(sink.starts_with(&format!("influxdb:{url}?db={DATABASE}&")), "{sink}");
}
