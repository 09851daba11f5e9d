//! Facts about this machine, without which figures say little, and how busy it is.

use std::{
    fs,
    time::{Duration, Instant},
};

/// Over less time the kernel's counts are too coarse to tell how busy a machine is.
const SHORTEST_WINDOW: Duration = Duration::from_secs(1);

/// Cores, CPU model, memory and kernel in a sentence.
pub(super) fn facts() -> String {
    let cores = cores();
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".into());
    let memory_kb = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores ({cpu}), {} GiB of memory, Linux {}", memory_kb >> 20, kernel.trim())
}

/// Cores that may be used.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The value behind `NAME:` in a file of `/proc`.
pub(super) fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// CPU time of the whole machine, all cores together, as of now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MachineTime {
    /// All that was not idle.
    pub(super) busy: Duration,
    /// What the host of this virtual machine took for others.
    pub(super) stolen: Duration,
}

impl MachineTime {
    /// None of either where the kernel does not tell.
    pub(super) fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        parse(&stat).unwrap_or_default()
    }
}

/// Reads the first line of `/proc/stat`: `cpu user nice system idle iowait irq softirq steal ..`.
fn parse(stat: &str) -> Option<MachineTime> {
    let mut words = stat.lines().next()?.split_whitespace();
    (words.next()? == "cpu").then_some(())?;
    let times: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = times[..] else {
        return None;
    };
    let per_second = rustix::param::clock_ticks_per_second();
    let time = |ticks: u64| Duration::from_millis(ticks * 1000 / per_second);
    Some(MachineTime { busy: time(user + nice + system + irq + softirq), stolen: time(steal) })
}

/// Follows how busy the machine is.
pub(super) struct LoadMeter {
    window: (Instant, MachineTime),
    busiest: f64,
}

impl LoadMeter {
    /// Begins now.
    pub(super) fn start() -> Self {
        Self { window: (Instant::now(), MachineTime::now()), busiest: 0.0 }
    }

    /// To be called every now and then, more often than once a second.
    pub(super) fn sample(&mut self) {
        let elapsed = self.window.0.elapsed();
        if elapsed >= SHORTEST_WINDOW {
            let now = MachineTime::now();
            let busy = now.busy.saturating_sub(self.window.1.busy);
            self.busiest = self.busiest.max(busy.as_secs_f64() / elapsed.as_secs_f64());
            self.window = (Instant::now(), now);
        }
    }

    /// Cores that were busy in the busiest second.
    pub(super) fn busiest(&self) -> f64 {
        self.busiest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_time_leaves_out_what_was_idle() {
        let stat = "cpu  100 10 50 9000 700 1 39 25 7 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        let time = parse(stat).unwrap();
        assert_eq!((time.busy.as_millis(), time.stolen.as_millis()), (2000, 250));
        assert!(parse("intr 1 2 3").is_none());
        assert!(parse("").is_none());
    }

    #[test]
    fn the_busiest_second_is_kept() {
        let mut meter = LoadMeter::start();
        meter.sample();
        assert_eq!(meter.busiest(), 0.0, "no second has passed");
        let long_ago = Instant::now() - Duration::from_secs(2);
        meter.window = (long_ago, MachineTime::default());
        meter.sample();
        let busiest = meter.busiest();
        assert!(busiest > 0.0);
        meter.window = (long_ago, MachineTime::now());
        meter.sample();
        assert_eq!(meter.busiest(), busiest);
    }
}
