//! Mutated inputs: what strangers and broken disks hand us is taken or refused by name, never a panic or a hang.
//!
//! Each target runs for a few seconds, or for minutes with `SCM_CONNECT_FULL=1`. The mutations come from a seed: the
//! same in every bounded run, so that a red run is about the change; a new one in every full run. A failure prints the
//! seed and the smallest input; `SCM_CONNECT_FUZZ_SEED=…` begins with that seed.

mod bytes;
mod config;
mod door;
mod read;
mod store;

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// No input is worth more time than this, on a machine that does other things too.
const CASE_MAX: Duration = Duration::from_secs(10);
/// A case that has not ended by then never will.
const HANG: Duration = Duration::from_secs(60);
const ROUND: u32 = 16;

fn is_full() -> bool {
    std::env::var_os("SCM_CONNECT_FULL").is_some_and(|value| value == "1")
}

fn first_seed() -> u64 {
    let given = std::env::var_os("SCM_CONNECT_FUZZ_SEED").and_then(|text| text.to_str()?.parse().ok());
    given.unwrap_or_else(|| {
        let mut drawn = [0; 8];
        if is_full() {
            getrandom::fill(&mut drawn).unwrap();
        }
        u64::from_le_bytes(drawn)
    })
}

fn rng(seed: u64) -> TestRng {
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().zip(seed.to_le_bytes()) {
        *place = byte;
    }
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

/// Ends the process when one case takes for ever; says which.
struct Watch {
    started: Instant,
    /// Milliseconds since `started` at which the case began; 0 between cases.
    began: AtomicU64,
    seed: AtomicU64,
}

impl Watch {
    fn start(name: &'static str) -> &'static Self {
        let watch: &Self =
            Box::leak(Box::new(Self { started: Instant::now(), began: 0.into(), seed: 0.into() }));
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let began = watch.began.load(Ordering::Relaxed);
                if began != 0 && watch.now().saturating_sub(began) > HANG.as_millis() as u64 {
                    let seed = watch.seed.load(Ordering::Relaxed);
                    let _ =
                        writeln!(std::io::stderr(), "{name}: an input of SCM_CONNECT_FUZZ_SEED={seed} hangs");
                    std::process::abort();
                }
            }
        });
        watch
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap().max(1)
    }
}

/// Gives `test` mutated inputs until the target's time is over; returns how many it saw.
fn fuzz<S: Strategy>(
    name: &'static str,
    inputs: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) -> u64 {
    let budget = Duration::from_secs(if is_full() { 180 } else { 6 });
    let watch = Watch::start(name);
    let mut seed = first_seed();
    let mut cases: u64 = 0;
    while watch.started.elapsed() < budget {
        watch.seed.store(seed, Ordering::Relaxed);
        let config = Config {
            cases: ROUND,
            failure_persistence: None,
            max_shrink_iters: 2000,
            max_shrink_time: 30_000,
            ..Config::default()
        };
        let watched = |input| {
            let began = Instant::now();
            watch.began.store(watch.now(), Ordering::Relaxed);
            let result = test(input);
            watch.began.store(0, Ordering::Relaxed);
            if began.elapsed() > CASE_MAX {
                return Err(TestCaseError::fail(format!("it took {:?}", began.elapsed())));
            }
            result
        };
        if let Err(error) = TestRunner::new_with_rng(config, rng(seed)).run(inputs, watched) {
            unreachable!("{name}, SCM_CONNECT_FUZZ_SEED={seed}: {error}");
        }
        cases = cases.saturating_add(u64::from(ROUND));
        seed = seed.wrapping_add(1);
    }
    let _ = writeln!(std::io::stdout(), "{name}: {cases} inputs, the next seed would be {seed}");
    cases
}
