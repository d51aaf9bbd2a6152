//! Several rates of an open loop: a ramp, or the search for the knee, the largest rate that keeps its promise.

use serde::Serialize;

use crate::fault::ErrorKind;
use crate::options::LoadArgs;
use crate::pace::Pace;
use crate::run::{self, Job};
use crate::run_result::RunResult;

/// How close, as a share, the rate that holds and the one that does not have to come.
const CLOSE_ENOUGH: f64 = 1.05;
/// Most rates that a search tries.
const MAX_TRIES: usize = 32;
/// The smallest and the largest rate that is tried.
const RATES: (f64, f64) = (1.0, 1e7);

/// The runs of several rates, in the order in which they ran.
#[derive(Debug, Serialize)]
pub(crate) struct Sweep {
    pub(crate) runs: Vec<RunResult>,
    /// What was looked for and found, where it was looked for.
    pub(crate) knee: Option<Knee>,
}

/// The knee as far as it was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Knee {
    pub(crate) p99_under_ms: f64,
    /// The largest rate that held, in operations a second.
    pub(crate) holds_per_second: Option<f64>,
    /// The smallest rate that did not.
    pub(crate) fails_per_second: Option<f64>,
    /// Whether the generator, and not the server, was the first to give way.
    pub(crate) limited_by_generator: bool,
}

/// The search: doubles the rate until it no longer holds (or halves it until it does), then cuts the gap in half.
#[derive(Debug, Clone)]
struct Search {
    next: f64,
    holds: Option<f64>,
    fails: Option<f64>,
}

impl Search {
    fn new(first: f64) -> Self {
        Self { next: first, holds: None, fails: None }
    }

    /// Takes what the last rate came to; the next one, or `None` at the end.
    fn told(&mut self, held: bool) -> Option<f64> {
        let tried = if held { &mut self.holds } else { &mut self.fails };
        *tried = Some(self.next);
        self.next = match (self.holds, self.fails) {
            (Some(holds), Some(fails)) if fails / holds <= CLOSE_ENOUGH => return None,
            (Some(holds), Some(fails)) => (holds * fails).sqrt(),
            (Some(holds), None) => holds * 2.0,
            (None, Some(fails)) => fails / 2.0,
            (None, None) => return None,
        };
        (RATES.0..=RATES.1).contains(&self.next).then_some(self.next)
    }
}

/// Runs the rates of a ramp, or those that the search for the knee asks for; `show` sees each run.
pub(crate) fn sweep(args: &LoadArgs, mut show: impl FnMut(&RunResult)) -> Result<Sweep, String> {
    let job = Job::from_args(args)?;
    let Pace::Open { rate, arrivals } = job.pace else { return Err("a sweep has rates".to_owned()) };
    let run = |rate: f64| -> Result<RunResult, String> {
        let result = run::run(&Job { pace: Pace::Open { rate, arrivals }, ..job.clone() })?;
        show(&result);
        Ok(result)
    };
    if let Some(ramp) = args.ramp {
        let runs = ramp.rates().into_iter().map(run).collect::<Result<_, _>>()?;
        return Ok(Sweep { runs, knee: None });
    }
    find(rate, args.knee_p99_ms, run)
}

fn find(
    first: f64,
    p99_under_ms: f64,
    mut run: impl FnMut(f64) -> Result<RunResult, String>,
) -> Result<Sweep, String> {
    let (mut runs, mut search, mut limited_by_generator) = (Vec::new(), Search::new(first), false);
    let mut next = Some(first);
    while let Some(rate) = next.filter(|_| runs.len() < MAX_TRIES) {
        let result = run(rate)?;
        // An overloaded server may owe answers at the end; whatever else goes wrong is no question of the rate.
        if result.errors.keys().any(|kind| kind != ErrorKind::Unanswered.name()) {
            let error = result.first_error.unwrap_or_default();
            return Err(format!("there were errors at {rate:.0} operations/s, so there is no knee: {error}"));
        }
        let held = result.holds(p99_under_ms);
        if !held {
            limited_by_generator = result.is_late();
        }
        next = search.told(held);
        runs.push(result);
    }
    let (holds_per_second, fails_per_second) = (search.holds, search.fails);
    let knee = Knee { p99_under_ms, holds_per_second, fails_per_second, limited_by_generator };
    Ok(Sweep { runs, knee: Some(knee) })
}

impl Sweep {
    /// Whether there is a run that must not be used: in a search, one that decided it.
    pub(crate) fn is_void(&self) -> bool {
        match &self.knee {
            Some(knee) => knee.limited_by_generator || knee.holds_per_second.is_none(),
            None => self.runs.iter().any(|run| run.void),
        }
    }
}

impl Knee {
    /// What was found, in a sentence.
    pub(crate) fn sentence(&self) -> String {
        let allowed = self.p99_under_ms;
        let mut said = match (self.holds_per_second, self.fails_per_second) {
            (Some(holds), Some(fails)) => {
                format!(
                    "knee        {holds:.0} operations/s with a p99 under {allowed} ms; {fails:.0} no longer holds"
                )
            }
            (Some(holds), None) => format!("knee        not reached at {holds:.0} operations/s"),
            (None, _) => format!("knee        no rate was found that holds a p99 under {allowed} ms"),
        };
        if self.limited_by_generator {
            said.push_str(" VOID: the generator gave way first, the server may do more");
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(first: f64, knee: f64) -> (Search, Vec<f64>) {
        let (mut search, mut tried, mut next) = (Search::new(first), Vec::new(), Some(first));
        while let Some(rate) = next {
            tried.push(rate);
            next = search.told(rate <= knee);
        }
        (search, tried)
    }

    #[test]
    fn the_knee_is_found_from_below_and_from_above() {
        for first in [1.0, 900.0, 1_000.0, 30_000.0] {
            let (search, tried) = found(first, 12_345.0);
            let (holds, fails) = (search.holds.unwrap(), search.fails.unwrap());
            assert!(holds <= 12_345.0 && fails > 12_345.0 && fails / holds <= 1.05, "{tried:?}");
            assert!(tried.len() <= 24, "{tried:?}");
        }
    }

    #[test]
    fn a_search_without_a_knee_ends() {
        assert!(found(1_000.0, f64::MAX).0.fails.is_none());
        assert!(found(1_000.0, 0.0).0.holds.is_none());
    }

    #[test]
    fn the_sentence_says_what_was_found() {
        let knee = |holds_per_second, fails_per_second, limited_by_generator| {
            Knee { p99_under_ms: 10.0, holds_per_second, fails_per_second, limited_by_generator }.sentence()
        };
        assert!(knee(Some(900.0), Some(940.0), false).contains("900 operations/s with a p99 under 10 ms"));
        assert!(knee(Some(900.0), Some(940.0), true).contains("VOID"));
        assert!(knee(Some(900.0), None, false).contains("not reached"));
        assert!(knee(None, Some(940.0), false).contains("no rate"));
    }
}
