//! Runs a target on mutated inputs until something is wrong or the time is up.

use std::{
    io,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use crate::{allocated, corpus, mutate, random::Random, targets::Target};

/// Longer than this no input may take, whatever the machine does beside.
const LONGEST: Duration = Duration::from_secs(5);
/// So many inputs are tried however little time there is: on a busy machine too.
const LEAST_INPUTS: u64 = 50;
/// What a target may allocate in all on an input, and on each byte of it.
const BASE_BYTES: usize = 32 << 20;
const BYTES_A_BYTE: usize = 4096;

/// What a run is to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long.
    pub time: Duration,
    /// Where mutation begins.
    pub seed: u64,
}

/// What a run did.
#[derive(Debug)]
pub struct Outcome {
    /// Inputs that were tried.
    pub inputs: u64,
    /// The first input with which something was wrong.
    pub failure: Option<Failure>,
}

/// An input with which something is wrong.
#[derive(Debug)]
pub struct Failure {
    /// The input.
    pub input: Vec<u8>,
    /// What is wrong.
    pub what: String,
}

/// Tries the inputs that a target begins with, then mutated ones.
///
/// # Errors
/// When the corpus cannot be read.
pub fn run(target: &Target, plan: Plan) -> io::Result<Outcome> {
    let seeds = corpus::seeds(target)?;
    let words = corpus::words(&seeds);
    let mut random = Random::new(plan.seed ^ hash(target.name.as_bytes()));
    let watchdog = Watchdog::start(target.name);
    let until = Instant::now() + plan.time;
    let mut pool = seeds.clone();
    let mut inputs = seeds.len() as u64;
    let try_one =
        |input: Vec<u8>| check(target, &input, &watchdog).err().map(|what| Failure { input, what });
    let mut failure = seeds.into_iter().find_map(try_one);
    while failure.is_none() && (inputs < LEAST_INPUTS || Instant::now() < until) {
        let start = random.pick(&pool).cloned().unwrap_or_default();
        let input = mutate::mutate(&start, &pool, &words, &mut random);
        // Without a measure of what is new, a walk away from the seeds is all there is to go by.
        if random.below(64) == 0 && pool.len() < 4096 {
            pool.push(input.clone());
        }
        inputs += 1;
        failure = try_one(input);
    }
    Ok(Outcome { inputs, failure })
}

/// Tries one input.
///
/// # Errors
/// What is wrong.
pub fn check_one(target: &Target, input: &[u8]) -> Result<(), String> {
    check(target, input, &Watchdog::start(target.name))
}

fn check(target: &Target, input: &[u8], watchdog: &Watchdog) -> Result<(), String> {
    watchdog.begin(input);
    let (before, began) = (allocated(), Instant::now());
    let ran = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let (took, bytes) = (began.elapsed(), allocated().saturating_sub(before));
    watchdog.end();
    if let Err(panic) = ran {
        return Err(words_of(&*panic));
    }
    let most = BASE_BYTES + BYTES_A_BYTE * input.len();
    if bytes > most {
        return Err(format!("it allocated {bytes} bytes for {} of input", input.len()));
    }
    if took > LONGEST {
        return Err(format!("it took {took:?}"));
    }
    Ok(())
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}

/// Ends the program where an input takes for ever: nothing else can end a loop.
struct Watchdog {
    current: Arc<Mutex<Current>>,
    _alive: mpsc::SyncSender<()>,
}

#[derive(Default)]
struct Current {
    input: Vec<u8>,
    since: Option<Instant>,
}

impl Watchdog {
    fn start(target: &'static str) -> Self {
        let current = Arc::new(Mutex::new(Current::default()));
        let (alive, gone) = mpsc::sync_channel(0);
        let watched = Arc::clone(&current);
        thread::spawn(move || {
            while gone.recv_timeout(Duration::from_secs(1)) == Err(mpsc::RecvTimeoutError::Timeout)
            {
                let current = watched.lock().unwrap_or_else(PoisonError::into_inner);
                if current.since.is_some_and(|since| since.elapsed() > 4 * LONGEST) {
                    save(target, &current.input);
                    std::process::abort();
                }
            }
        });
        Self { current, _alive: alive }
    }

    fn begin(&self, input: &[u8]) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.input.clear();
        current.input.extend_from_slice(input);
        current.since = Some(Instant::now());
    }

    fn end(&self) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).since = None;
    }
}

/// Writes an input where it can be tried again; gives the file.
pub fn save(target: &str, input: &[u8]) -> Option<std::path::PathBuf> {
    let file = std::env::temp_dir().join(format!("heapster-fuzz-{target}-{:016x}", hash(input)));
    std::fs::write(&file, input).ok().map(|()| file)
}

fn hash(input: &[u8]) -> u64 {
    input.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(run: fn(&[u8])) -> Target {
        Target {
            name: "made",
            run,
            recorded: &[],
            made: || vec![b"{\"a\": 1, \"bad\": 2}".to_vec()],
        }
    }

    const PLAN: Plan = Plan { time: Duration::from_secs(20), seed: 1 };

    /// What breaks on an input that mutation makes is found, with the input.
    #[test]
    fn a_panic_is_found() {
        let bad = target(|input| assert!(!input.starts_with(b"{\"bad\""), "it begins badly"));
        let failure = run(&bad, PLAN).unwrap().failure.unwrap();
        assert!(failure.what.contains("it begins badly") && failure.input.starts_with(b"{\"bad\""));
        assert!(check_one(&bad, &failure.input).is_err());
        assert!(check_one(&bad, b"{}").is_ok());
    }

    #[test]
    fn memory_out_of_proportion_is_found() {
        let greedy = target(|input| drop(vec![0_u8; input.len() << 22]));
        let failure = run(&greedy, PLAN).unwrap().failure.unwrap();
        assert!(failure.what.contains("allocated"), "{}", failure.what);
    }

    #[test]
    fn a_slow_input_is_found() {
        let slow = target(|_| thread::sleep(LONGEST + Duration::from_millis(100)));
        assert!(check_one(&slow, b"x").unwrap_err().contains("took"));
    }
}
