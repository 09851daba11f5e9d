//! What happens to the programs, the ways between them and the disks; and how it is put right.

use anyhow::Context;
use heapster_shared::tick::unix_ms;
use tokio::task::block_in_place;

use super::{
    SpoolKind,
    lab::{Buddy, Lab},
    proxy::Way,
};

/// A fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// SIGKILL.
    MasterKilled,
    /// SIGTERM.
    MasterStopped,
    /// SIGSTOP, later SIGCONT.
    MasterHalted,
    BuddyKilled(usize),
    BuddyStopped(usize),
    BuddyHalted(usize),
    /// The way from a buddy to the master.
    BuddyWay(usize, Way),
    InfluxdbWay(Way),
    VictoriaWay(Way),
    InfluxdbKilled,
    InfluxdbHalted,
    /// SIGTERM only: what it was sent last it has in memory, and says so.
    VictoriaStopped,
    /// Not one byte is left on the disk of a spool.
    DiskFull(usize),
    /// A buddy is ended while it has something to deliver, and a file of its spool broken.
    SpoolBroken(usize),
}

impl Fault {
    /// The names of all faults.
    #[cfg(test)]
    pub(super) const NAMES: [&'static str; 18] = [
        "master killed",
        "master stopped",
        "master halted",
        "buddy killed",
        "buddy stopped",
        "buddy halted",
        "buddy to master: cut",
        "buddy to master: frozen",
        "buddy to master: slow",
        "master to InfluxDB: cut",
        "master to InfluxDB: frozen",
        "master to InfluxDB: slow",
        "master to VictoriaMetrics: any",
        "InfluxDB killed",
        "InfluxDB halted",
        "VictoriaMetrics stopped",
        "spool's disk full",
        "spool's bytes broken",
    ];

    /// What it is called in a report.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::MasterKilled => "master killed",
            Self::MasterStopped => "master stopped",
            Self::MasterHalted => "master halted",
            Self::BuddyKilled(_) => "buddy killed",
            Self::BuddyStopped(_) => "buddy stopped",
            Self::BuddyHalted(_) => "buddy halted",
            Self::BuddyWay(_, Way::Cut) => "buddy to master: cut",
            Self::BuddyWay(_, Way::Frozen) => "buddy to master: frozen",
            Self::BuddyWay(..) => "buddy to master: slow",
            Self::InfluxdbWay(Way::Cut) => "master to InfluxDB: cut",
            Self::InfluxdbWay(Way::Frozen) => "master to InfluxDB: frozen",
            Self::InfluxdbWay(_) => "master to InfluxDB: slow",
            Self::VictoriaWay(_) => "master to VictoriaMetrics: any",
            Self::InfluxdbKilled => "InfluxDB killed",
            Self::InfluxdbHalted => "InfluxDB halted",
            Self::VictoriaStopped => "VictoriaMetrics stopped",
            Self::DiskFull(_) => "spool's disk full",
            Self::SpoolBroken(_) => "spool's bytes broken",
        }
    }

    /// What it happens to: no two faults happen to one thing at once.
    pub(super) const fn subject(self) -> (u8, usize) {
        match self {
            Self::MasterKilled | Self::MasterStopped | Self::MasterHalted => (0, 0),
            Self::BuddyKilled(buddy)
            | Self::BuddyStopped(buddy)
            | Self::BuddyHalted(buddy)
            | Self::DiskFull(buddy)
            | Self::SpoolBroken(buddy)
            | Self::BuddyWay(buddy, _) => (1, buddy),
            Self::InfluxdbWay(_) | Self::InfluxdbKilled | Self::InfluxdbHalted => (2, 0),
            Self::VictoriaWay(_) | Self::VictoriaStopped => (3, 0),
        }
    }

    /// Lets it happen.
    pub(super) async fn begin(self, lab: &mut Lab) -> anyhow::Result<()> {
        match self {
            Self::MasterKilled => block_in_place(|| lab.master.kill()),
            Self::MasterStopped => lab.stop_master(),
            Self::MasterHalted => lab.master.halt(true),
            Self::BuddyKilled(buddy) => kill_buddy(lab, buddy).await,
            Self::BuddyStopped(buddy) => lab.stop_buddy(buddy),
            Self::BuddyHalted(buddy) => lab.buddies[buddy].program.halt(true),
            Self::BuddyWay(buddy, way) => {
                lab.buddies[buddy].way.set(way);
                Ok(())
            }
            Self::InfluxdbWay(way) => {
                lab.influxdb_way.set(way);
                Ok(())
            }
            Self::VictoriaWay(way) => {
                lab.victoria_way.set(way);
                Ok(())
            }
            Self::InfluxdbKilled => lab.influxdb.kill().context("InfluxDB"),
            Self::InfluxdbHalted => lab.influxdb.freeze().context("InfluxDB"),
            Self::VictoriaStopped => lab.victoria.stop().await.context("VictoriaMetrics"),
            Self::DiskFull(buddy) => {
                let now_ms = unix_ms();
                let buddy = &mut lab.buddies[buddy];
                let start = buddy.full_ms.as_ref().map_or(now_ms, |full| full.start);
                buddy.full_ms = Some(start - TO_THE_FILE_MS..i64::MAX);
                buddy.disk.fill()
            }
            Self::SpoolBroken(buddy) => break_spool(lab, buddy).await,
        }
    }

    /// Puts it right.
    pub(super) async fn mend(self, lab: &mut Lab) -> anyhow::Result<()> {
        match self {
            Self::MasterKilled | Self::MasterStopped => lab.start_master().await,
            Self::MasterHalted => lab.master.halt(false),
            Self::BuddyKilled(buddy) | Self::BuddyStopped(buddy) => lab.start_buddy(buddy),
            Self::SpoolBroken(buddy) => {
                lab.buddies[buddy].way.set(Way::Open);
                lab.start_buddy(buddy)
            }
            Self::BuddyHalted(buddy) => lab.buddies[buddy].program.halt(false),
            Self::BuddyWay(buddy, _) => {
                lab.buddies[buddy].way.set(Way::Open);
                Ok(())
            }
            Self::InfluxdbWay(_) => {
                lab.influxdb_way.set(Way::Open);
                Ok(())
            }
            Self::VictoriaWay(_) => {
                lab.victoria_way.set(Way::Open);
                Ok(())
            }
            Self::InfluxdbKilled => lab.influxdb.start().await.context("InfluxDB"),
            Self::InfluxdbHalted => lab.influxdb.thaw().context("InfluxDB"),
            Self::VictoriaStopped => lab.victoria.start().await.context("VictoriaMetrics"),
            Self::DiskFull(buddy) => {
                let buddy = &mut lab.buddies[buddy];
                let end = unix_ms() + BACK_TO_DISK_MS;
                buddy.full_ms = buddy.full_ms.take().map(|full| full.start..end);
                buddy.disk.empty()
            }
        }
    }
}

/// What is on its way from the poll to the file when a buddy is killed is lost with any spool.
const TO_THE_FILE_MS: i64 = 1000;

/// A buddy tries a disk that was full again within this time.
const BACK_TO_DISK_MS: i64 = 5000;

async fn kill_buddy(lab: &mut Lab, buddy: usize) -> anyhow::Result<()> {
    let settled_ms = lab.settled_ms(buddy).await;
    block_in_place(|| lab.buddies[buddy].program.kill())?;
    let now_ms = unix_ms();
    let Buddy { full_ms, lost_ms, .. } = &mut lab.buddies[buddy];
    match lab.spool {
        SpoolKind::Memory => lost_ms.push(settled_ms..now_ms),
        SpoolKind::Disk => {
            lost_ms.push(now_ms - TO_THE_FILE_MS..now_ms);
            // What came while the disk was full is in memory until it is delivered.
            lost_ms.extend(full_ms.take().map(|full| settled_ms.max(full.start)..full.end));
        }
    }
    Ok(())
}

/// With the way cut for a while there is something in the spool to be broken; what was not delivered
/// may be lost then, and nothing else.
async fn break_spool(lab: &mut Lab, buddy: usize) -> anyhow::Result<()> {
    lab.buddies[buddy].way.set(Way::Cut);
    tokio::time::sleep(3 * lab.resolution).await;
    let from_ms = lab.settled_ms(buddy).await;
    match lab.spool {
        SpoolKind::Memory => lab.stop_buddy(buddy)?,
        SpoolKind::Disk => block_in_place(|| lab.buddies[buddy].program.kill())?,
    }
    if let Some(done) = lab.buddies[buddy].disk.corrupt(&mut lab.random)? {
        lab.notes.push(format!("{}: {done}", lab.buddies[buddy].program.name));
        lab.buddies[buddy].lost_ms.push(from_ms..unix_ms());
    } else if lab.spool == SpoolKind::Disk {
        lab.buddies[buddy].lost_ms.push(unix_ms() - TO_THE_FILE_MS..unix_ms());
    }
    Ok(())
}
