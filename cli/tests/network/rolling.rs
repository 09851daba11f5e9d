//! The master is started again and again while rows come: no row is lost.

use heapster_testkit::{peer::Influxdb, real_peer};

use crate::{
    master_away::{assert_all_there, more_rounds, sink, wait_for_rows},
    support::{Lab, Master, SOON, cut_off},
};

/// As an upgrade does it, and as a power cut does, in turns, under load: each row that was polled is
/// in the database with the others, and each rate but the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_nothing() {
    let influxdb = real_peer!(Influxdb::start());
    let lab = Lab::start(4, 5, 2).await;
    let mut master = Master::start(&["--sink", &sink(&influxdb), "--drain-time", "5s"]);
    let mut buddy = lab.buddy(&master, "lab", &["--host-timeout", "900ms"]);
    wait_for_rows(&influxdb, 100, || master.process.output()).await;
    for restart in 0..4 {
        if restart % 2 == 0 {
            let ended = master.process.terminate(SOON).unwrap();
            assert!(ended.success(), "{}", master.process.output());
        } else {
            cut_off(&mut master.process);
        }
        master.start_again();
        master.api().validate_says("): connected");
        more_rounds(&buddy, 2);
    }
    assert!(buddy.terminate(SOON).unwrap().success(), "{}", buddy.output());
    assert!(!buddy.output().contains("are lost"), "{}", buddy.output());
    assert_all_there(&influxdb, &buddy, &master).await;
}
