#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use serde_json::json;

use super::*;

const LEASE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// A machine with a clock that stands still until it is told.
struct Bench {
    machine: Machine,
    now: Instant,
}

impl Bench {
    fn new(concurrency: usize) -> Bench {
        let now = Instant::now();
        let pace = Pace { concurrency, lease: LEASE, drain: 10 * SECOND, random: || 1.0 };
        Bench { machine: Machine::new(pace, now), now }
    }

    /// Connected, with its first claim on the way.
    fn claiming(concurrency: usize) -> Bench {
        let mut bench = Bench::new(concurrency);
        assert_eq!(bench.next(), Some(Action::Connect));
        bench.take(Input::Connected(1));
        assert_eq!(bench.next(), Some(Action::Claim(concurrency)));
        bench
    }

    /// With one task that runs.
    fn running() -> Bench {
        let mut bench = Bench::claiming(1);
        bench.take(Input::Claimed(Ok(vec![task("a", 1)])));
        assert_eq!(bench.next(), Some(Action::Start(task("a", 1))));
        assert_eq!(bench.next(), None);
        bench
    }

    fn next(&mut self) -> Option<Action> {
        self.machine.next(self.now)
    }

    fn take(&mut self, input: Input) {
        self.machine.take(input, self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn beaten(&mut self, renewed: &[&str], cancelled: &[&str]) {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let beat = Beat { renewed: Some(names(renewed)), cancelled: names(cancelled), lost: Vec::new() };
        self.take(Input::Beaten(Ok(beat)));
    }
}

fn task(id: &str, token: u64) -> Task {
    Task::read(&json!({ "task_id": id, "task_type": "t", "fencing_token": token })).unwrap()
}

fn done() -> Outcome {
    Outcome::Completed(Default::default())
}

fn broken(number: u64) -> Trouble {
    Trouble::Broken(number, "gone".to_owned())
}

fn refused(code: &str) -> Trouble {
    Trouble::Refused(code.to_owned())
}

fn logged(line: &str) -> Notes {
    let mut notes = Notes::default();
    notes.log(line);
    notes
}

#[test]
fn a_task_is_run_renewed_and_reported_and_another_is_claimed() {
    let mut bench = Bench::running();
    assert_eq!(bench.machine.wake_at(), Some(bench.now + LEASE / 3));
    bench.pass(LEASE / 3);
    assert!(matches!(bench.next(), Some(Action::Heartbeat(reports)) if reports[0].0 == "a"));
    bench.beaten(&["a"], &[]);
    bench.take(Input::Ended("a".into(), done()));
    assert_eq!(bench.next(), Some(Action::Report("a".into(), Some(1), done())));
    assert_eq!(bench.next(), None, "the task takes its place until the server has its end");
    bench.take(Input::Reported("a".into(), Ok(())));
    assert_eq!(bench.next(), Some(Action::Claim(1)));
}

#[test]
fn an_empty_queue_is_not_asked_in_a_hurry() {
    let mut bench = Bench::claiming(2);
    bench.take(Input::Claimed(Ok(vec![])));
    assert_eq!(bench.next(), None);
    assert_eq!(bench.machine.wake_at(), Some(bench.now + SECOND));
    bench.pass(SECOND);
    assert_eq!(bench.next(), Some(Action::Claim(2)));
    bench.pass(20 * SECOND);
    bench.take(Input::Claimed(Ok(vec![])));
    assert_eq!(bench.next(), Some(Action::Claim(2)), "a long poll was the pause");
}

#[test]
fn news_are_told_within_a_second_and_before_the_end() {
    let mut bench = Bench::running();
    bench.take(Input::Said("a".into(), logged("x")));
    assert_eq!(bench.next(), None);
    bench.pass(SECOND);
    assert_eq!(bench.next(), Some(Action::Heartbeat(vec![("a".into(), Some(1), logged("x"))])));
    bench.take(Input::Said("a".into(), logged("y")));
    bench.take(Input::Ended("a".into(), done()));
    assert_eq!(bench.next(), None, "neither the end nor more news overtake what is on its way");
    bench.beaten(&["a"], &[]);
    assert_eq!(bench.next(), Some(Action::Heartbeat(vec![("a".into(), Some(1), logged("y"))])));
    bench.beaten(&["a"], &[]);
    assert!(matches!(bench.next(), Some(Action::Report(..))));
}

#[test]
fn a_cancelled_task_is_killed_and_never_reported() {
    let mut bench = Bench::running();
    bench.pass(LEASE / 3);
    bench.next();
    bench.beaten(&[], &["a"]);
    assert_eq!(bench.next(), Some(Action::Kill("a".into())));
    assert_eq!(bench.next(), None, "its place is taken until the command has ended");
    bench.take(Input::Ended("a".into(), Outcome::failed("killed", true)));
    assert_eq!(bench.next(), Some(Action::Claim(1)));
}

#[test]
fn a_lost_lease_kills_whether_the_renewal_or_the_report_tells_it() {
    for beat in [
        Beat { renewed: Some(vec![]), ..Beat::default() },
        Beat { renewed: Some(vec!["a".into()]), lost: vec!["a".into()], ..Beat::default() },
    ] {
        let mut bench = Bench::running();
        bench.pass(LEASE / 3);
        bench.next();
        bench.take(Input::Beaten(Ok(beat)));
        assert_eq!(bench.next(), Some(Action::Kill("a".into())));
    }
    let mut bench = Bench::running();
    bench.take(Input::Ended("a".into(), done()));
    bench.next();
    bench.take(Input::Reported("a".into(), Err(refused("lease_lost"))));
    assert_eq!((bench.machine.tasks(), bench.next()), (0, Some(Action::Claim(1))));
}

#[test]
fn a_server_without_leases_loses_nobody_anything() {
    let mut bench = Bench::running();
    bench.pass(LEASE / 3);
    bench.next();
    bench.take(Input::Beaten(Ok(Beat::default())));
    assert_eq!((bench.next(), bench.machine.tasks()), (None, 1));
}

#[test]
fn a_server_that_is_gone_is_sought_ever_more_slowly_and_then_told() {
    let mut bench = Bench::running();
    bench.pass(LEASE / 3);
    bench.next();
    bench.take(Input::Beaten(Err(broken(1))));
    bench.take(Input::Ended("a".into(), done()));
    let mut pauses = Vec::new();
    for _ in 0..9 {
        assert_eq!(bench.next(), None);
        let at = bench.machine.wake_at().unwrap();
        pauses.push((at - bench.now).as_millis());
        bench.now = at;
        assert_eq!(bench.next(), Some(Action::Connect));
        bench.take(Input::NotConnected { why: "refused".into(), hopeless: false });
    }
    assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    bench.now = bench.machine.wake_at().unwrap();
    assert_eq!(bench.next(), Some(Action::Connect));
    bench.take(Input::Connected(2));
    let mut actions = Vec::new();
    while let Some(action) = bench.next() {
        actions.push(action);
    }
    assert!(actions.contains(&Action::Report("a".into(), Some(1), done())), "{actions:?}");
}

#[test]
fn answers_of_an_earlier_connection_do_not_break_the_new_one() {
    let mut bench = Bench::claiming(2);
    bench.take(Input::Claimed(Err(broken(1))));
    bench.pass(SECOND);
    assert_eq!(bench.next(), Some(Action::Connect));
    bench.take(Input::Connected(2));
    bench.take(Input::Reported("nobody".into(), Err(broken(1))));
    bench.take(Input::Beaten(Err(broken(1))));
    assert_eq!(bench.next(), Some(Action::Claim(2)));
}

#[test]
fn news_that_did_not_arrive_are_told_again() {
    let mut bench = Bench::running();
    bench.take(Input::Said("a".into(), logged("x")));
    bench.pass(SECOND);
    bench.next();
    bench.take(Input::Said("a".into(), logged("y")));
    bench.take(Input::Beaten(Err(broken(1))));
    bench.pass(SECOND);
    bench.next();
    bench.take(Input::Connected(2));
    let Some(Action::Heartbeat(reports)) = bench.next() else { panic!("no heartbeat") };
    assert_eq!(reports[0].2.told_logs(), ["x", "y"]);
}

#[test]
fn stopping_claims_no_more_waits_kills_and_gives_up() {
    let mut bench = Bench::running();
    bench.take(Input::Stop);
    assert_eq!(bench.next(), None);
    assert_eq!(bench.machine.wake_at(), Some(bench.now + 10 * SECOND));
    bench.pass(10 * SECOND);
    assert_eq!(bench.next(), Some(Action::Kill("a".into())));
    let failed = Outcome::failed("the worker stopped", true);
    bench.take(Input::Ended("a".into(), failed.clone()));
    assert_eq!(bench.next(), Some(Action::Report("a".into(), Some(1), failed)));
    let mut silent = Bench { machine: bench.machine, now: bench.now };
    silent.pass(REPORT_TIME);
    assert_eq!(silent.next(), Some(Action::Finish(End::Unreported(1))));
    assert_eq!(silent.next(), None);
}

#[test]
fn an_idle_worker_ends_at_once_and_one_that_drained_ends_well() {
    let mut bench = Bench::claiming(1);
    bench.take(Input::Stop);
    assert_eq!(bench.next(), Some(Action::Finish(End::Drained)));
    let mut bench = Bench::running();
    bench.take(Input::Stop);
    bench.take(Input::Ended("a".into(), done()));
    bench.next();
    bench.take(Input::Reported("a".into(), Ok(())));
    assert_eq!(bench.next(), Some(Action::Finish(End::Drained)));
}

#[test]
fn a_task_that_comes_while_stopping_goes_back() {
    let mut bench = Bench::claiming(2);
    bench.take(Input::Claimed(Ok(vec![task("a", 1)])));
    bench.next();
    assert_eq!(bench.next(), Some(Action::Claim(1)));
    bench.take(Input::Stop);
    bench.take(Input::Claimed(Ok(vec![task("b", 2)])));
    let expected = Outcome::failed("the worker is stopping", true);
    assert_eq!(bench.next(), Some(Action::Report("b".into(), Some(2), expected)));
}

#[test]
fn what_is_refused_at_first_ends_the_worker_and_later_does_not() {
    let mut bench = Bench::claiming(1);
    bench.take(Input::Claimed(Err(refused("unauthorized"))));
    assert_eq!(bench.next(), Some(Action::Finish(End::Refused("unauthorized".into()))));
    let mut bench = Bench::claiming(1);
    bench.take(Input::Claimed(Err(refused("overloaded"))));
    assert_eq!(bench.next(), None);
    bench.pass(SECOND);
    assert_eq!(bench.next(), Some(Action::Claim(1)));
    bench.take(Input::Claimed(Ok(vec![])));
    bench.pass(SECOND);
    bench.next();
    bench.take(Input::Claimed(Err(refused("unauthorized"))));
    assert_eq!(bench.next(), None);
}

#[test]
fn a_refused_result_becomes_a_failure_and_a_busy_server_is_asked_again() {
    let mut bench = Bench::running();
    bench.take(Input::Ended("a".into(), done()));
    bench.next();
    bench.take(Input::Reported("a".into(), Err(refused("queue_unavailable"))));
    assert_eq!(bench.next(), None);
    bench.pass(SECOND);
    assert_eq!(bench.next(), Some(Action::Report("a".into(), Some(1), done())));
    bench.take(Input::Reported("a".into(), Err(refused("too_large"))));
    let Some(Action::Report(_, _, Outcome::Failed { error, retryable: false, .. })) = bench.next() else {
        panic!("no failure is reported");
    };
    assert!(error.contains("too_large"), "{error}");
    bench.take(Input::Reported("a".into(), Err(refused("too_large"))));
    assert_eq!(bench.machine.tasks(), 0);
}

#[test]
fn a_task_that_comes_back_goes_on_under_its_new_token() {
    let mut bench = Bench::claiming(2);
    bench.take(Input::Claimed(Ok(vec![task("a", 1)])));
    bench.next();
    bench.next();
    bench.take(Input::Claimed(Ok(vec![task("a", 2)])));
    bench.take(Input::Ended("a".into(), done()));
    assert_eq!(bench.next(), Some(Action::Report("a".into(), Some(2), done())));
}

#[test]
fn a_task_whose_claim_was_lost_on_its_way_is_adopted() {
    let mut bench = Bench::claiming(2);
    bench.take(Input::Claimed(Ok(vec![task("a", 1)])));
    bench.next();
    assert_eq!(bench.next(), Some(Action::Claim(1)));
    bench.pass(LEASE / 3);
    assert!(matches!(bench.next(), Some(Action::Heartbeat(_))));
    bench.beaten(&["a", "b"], &[]);
    assert_eq!(bench.next(), None, "the claim on its way may bring it");
    bench.take(Input::Claimed(Ok(vec![])));
    assert_eq!(bench.next(), Some(Action::Adopt("b".into())));
    bench.take(Input::Adopted(Ok(Some(task("b", 7)))));
    assert_eq!(bench.next(), Some(Action::Start(task("b", 7))));
}
