//! Several clusters on one master.

use crate::support::{Lab, Master};

/// With two clusters the plain paths cannot know which one is meant: they say so and name both.
/// `?cluster=` and the paths with the name serve each, and neither shows the other's nodes.
#[tokio::test(flavor = "multi_thread")]
async fn clusters_are_told_apart() {
    let east = Lab::start(1, 1, 1).await;
    let west = Lab::start(2, 1, 1).await;
    let master = Master::start(&[]);
    let _buddies = [east.buddy(&master, "east", &[]), west.buddy(&master, "west", &[])];
    let api = master.api();
    let node = "nodes/sim-00000/metrics/uptime";
    for cluster in ["east", "west"] {
        api.points(&format!("/api/v1/clusters/{cluster}/model/{node}"), 1);
        api.points(&format!("/api/v1/model/{node}?cluster={cluster}"), 1);
    }
    api.points("/api/v1/clusters/west/model/nodes/sim-00001/metrics/uptime", 1);

    for path in ["nodes/", "namespaces/", node] {
        let plain = api.ask(&format!("/api/v1/model/{path}"));
        assert_eq!(plain.status, 400, "{}", plain.body);
        assert!(plain.body.contains("east, west"), "{}", plain.body);
        assert!(plain.body.contains("?cluster="), "{}", plain.body);
    }
    assert_eq!(api.names("/api/v1/clusters/east/model/nodes/"), ["sim-00000"]);
    assert_eq!(api.names("/api/v1/model/nodes/?cluster=east"), ["sim-00000"]);
    assert_eq!(api.names("/api/v1/model/nodes/?cluster=west"), ["sim-00000", "sim-00001"]);
    let unknown = api.ask("/api/v1/clusters/north/model/nodes/");
    assert_eq!(unknown.status, 404, "{}", unknown.body);
    assert!(unknown.body.contains("north"), "{}", unknown.body);
    let listed = api.get("/api/v1/clusters");
    let names: Vec<&str> =
        listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["east", "west"]);
}
