//! Rules that are worth a name of their own.

use std::sync::Arc;

use super::super::*;

fn at(ms: i64) -> Now {
    Now { mono_ms: ms, wall_ms: 1_700_000_000_000 + ms as u64 }
}

fn queue(settings: Settings) -> Queue {
    Queue::new(settings, Sequencer::default(), 7)
}

fn task(id: u128) -> Submit {
    Submit {
        id: TaskId(id),
        task_type: "t".into(),
        model_name: "m".into(),
        payload: "{}".into(),
        priority: 5,
        max_attempts: None,
        delay_ms: 0,
        session: None,
        sticky_worker: None,
        idempotency_key: None,
    }
}

fn claim() -> Claim {
    Claim {
        worker: "w".into(),
        peer: "p".into(),
        types: Vec::new(),
        session: None,
        lease_ms: None,
        max_tasks: 1,
        same_type: true,
    }
}

fn done(queue: &mut Queue, now: Now, step: Asked) -> Answer {
    match step.unwrap() {
        Step::Done(answer) => answer,
        Step::Change(change) => queue.commit(change.sequence, now).unwrap().answer,
        Step::Wait(sequence) => panic!("waits for {sequence}"),
    }
}

fn claimed(queue: &mut Queue, now: Now) -> Task {
    let step = queue.claim(now, &claim(), None);
    let Answer::Claimed(mut tasks) = done(queue, now, step) else { panic!() };
    tasks.pop().unwrap()
}

fn end(id: u128, outcome: Outcome, result: &str, token: Option<u64>) -> Complete {
    Complete { id: TaskId(id), outcome, result: Some(result.into()), error: None, token }
}

#[test]
fn an_aborted_submit_was_never_there() {
    let mut queue = queue(Settings::default());
    let Ok(Step::Change(change)) = queue.submit(at(0), task(1)) else { panic!() };
    assert!(change.refusable);
    assert_eq!((queue.task(TaskId(1)), queue.ready()), (None, 0));
    queue.abort(change.sequence, at(0));
    let step = queue.submit(at(0), task(1));
    assert_eq!(done(&mut queue, at(0), step), Answer::Submitted { id: TaskId(1), existing: false });
}

#[test]
fn a_stale_holder_is_refused_and_the_new_one_is_not() {
    let mut queue = queue(Settings::default());
    let step = queue.submit(at(0), task(1));
    done(&mut queue, at(0), step);
    let first = claimed(&mut queue, at(0)).state.token;
    for change in queue.tick(at(1_800_000), 10).changes {
        queue.commit(change.sequence, at(1_800_000)).unwrap();
    }
    let second = claimed(&mut queue, at(1_800_000)).state.token;
    assert!(second > first);
    for token in [Some(first), None] {
        let refused = queue.complete(at(1_800_001), &end(1, Outcome::Completed, "{}", token));
        assert_eq!(refused, Err(Refusal::LeaseLost));
    }
    let step = queue.complete(at(1_800_001), &end(1, Outcome::Completed, "{}", Some(second)));
    assert!(matches!(done(&mut queue, at(1_800_001), step), Answer::Changed(_)));
    assert_eq!(queue.counts().lease_expiries, 1);
}

#[test]
fn results_are_merged_and_earlier_logs_kept() {
    let mut queue = queue(Settings { max_log_lines: 2, ..Settings::default() });
    let step = queue.submit(at(0), task(1));
    done(&mut queue, at(0), step);
    let token = claimed(&mut queue, at(0)).state.token;
    let proof = Proof { token: Some(token), name: None };
    let logs: Vec<Arc<str>> = ["l1", "l2", "l3"].map(Arc::from).to_vec();
    let step =
        queue.progress(at(1), &Progress { id: TaskId(1), proof, progress: Some("{\"p\":1}".into()), logs });
    done(&mut queue, at(1), step);
    for (result, token) in [("{\"x\":1}", Some(token)), ("{\"y\":2}", None), ("{}", None)] {
        let step = queue.complete(at(2), &end(1, Outcome::Completed, result, token));
        done(&mut queue, at(2), step);
    }
    let merged = r#"{"logs":["l2","l3"],"progress":{"p":1},"x":1,"y":2}"#;
    assert_eq!(queue.task(TaskId(1)).unwrap().state.result.as_deref(), Some(merged));
    let step = queue.complete(at(2), &end(1, Outcome::Completed, "[1]", None));
    done(&mut queue, at(2), step);
    assert!(queue.task(TaskId(1)).unwrap().state.result.unwrap().contains(r#""result":[1]"#));
}

#[test]
fn a_task_is_held_for_its_owner_for_a_while() {
    let mut queue = queue(Settings::default());
    let step = queue.submit(at(0), task(1));
    done(&mut queue, at(0), step);
    assert!(queue.candidates(at(29_999), &claim(), 1).unwrap()[0].held_until_ms.is_some());
    assert!(queue.candidates(at(30_000), &claim(), 1).unwrap()[0].held_until_ms.is_none());
}

#[test]
fn every_bound_is_kept() {
    let bounded = Settings { max_tasks: 1, max_payload_bytes: 4, max_types: 1, ..Settings::default() };
    let mut queue = queue(bounded);
    let long = Submit { payload: "{\"a\":1}".into(), ..task(1) };
    assert_eq!(queue.submit(at(0), long), Err(Refusal::TooLarge { what: "payload", max: 4 }));
    let name = Submit { model_name: "m".repeat(513).into(), ..task(1) };
    assert_eq!(queue.submit(at(0), name), Err(Refusal::TooLarge { what: "model_name", max: 512 }));
    let step = queue.submit(at(0), task(1));
    done(&mut queue, at(0), step);
    assert_eq!(queue.submit(at(0), task(2)), Err(Refusal::QueueFull("max_tasks")));
    queue.settings.max_tasks = 9;
    let other = Submit { task_type: "u".into(), ..task(2) };
    assert_eq!(queue.submit(at(0), other), Err(Refusal::QueueFull("max_types")));
}

#[test]
fn finished_tasks_are_kept_by_number_and_lists_go_on_where_they_ended() {
    let mut queue = queue(Settings { max_finished: 3, ..Settings::default() });
    for id in 1..=5 {
        let step = queue.submit(at(id as i64), task(id));
        done(&mut queue, at(id as i64), step);
        let step = queue.complete(at(id as i64), &end(id, Outcome::Completed, "{}", None));
        done(&mut queue, at(id as i64), step);
    }
    for change in queue.tick(at(9), 100).changes {
        queue.commit(change.sequence, at(9)).unwrap();
    }
    let page = queue.list(None, &[], None, 2, usize::MAX).unwrap();
    let rest = queue.list(None, &[], page.cursor.as_deref(), 2, usize::MAX).unwrap();
    let ids: Vec<u128> = page.tasks.iter().chain(&rest.tasks).map(|task| task.core.id.0).collect();
    assert_eq!((ids, rest.cursor), (vec![3, 4, 5], None));
    assert!(queue.list(None, &[], Some("nonsense"), 2, 9).is_err());
}

#[test]
fn results_that_take_too_much_room_go_the_oldest_first_and_what_is_not_finished_stays() {
    let mut queue = queue(Settings { max_total_bytes: 800, ..Settings::default() });
    let result = format!("{{\"x\":\"{}\"}}", "y".repeat(192));
    for id in 1..=5 {
        let step = queue.submit(at(id as i64), task(id));
        done(&mut queue, at(id as i64), step);
    }
    for id in 1..=4 {
        assert!(queue.tick(at(id as i64), 100).changes.is_empty());
        let step = queue.complete(at(id as i64), &end(id, Outcome::Completed, &result, None));
        done(&mut queue, at(id as i64), step);
    }
    assert!(queue.bytes() > 800, "a completion is never refused for want of room");
    assert_eq!(queue.next_due(), Some(i64::MIN));
    for change in queue.tick(at(9), 100).changes {
        queue.commit(change.sequence, at(9)).unwrap();
    }
    let page = queue.list(None, &[], None, 9, usize::MAX).unwrap();
    let ids: Vec<u128> = page.tasks.iter().map(|task| task.core.id.0).collect();
    assert_eq!(ids, [2, 3, 4, 5]);
    assert!(queue.bytes() <= 700 && queue.tick(at(9), 100).changes.is_empty());
}

#[test]
fn damaged_records_are_refused_and_never_panic() {
    let mut live = queue(Settings::default());
    let Ok(Step::Change(change)) = live.submit(at(0), task(1)) else { panic!() };
    for cut in 0..change.bytes.len() {
        let read = queue(Settings::default()).replay(1, KIND_TASKS, &change.bytes[..cut], at(0));
        assert!(read.is_err() || cut == change.bytes.len() || cut < 9, "{cut}");
    }
    let mut bytes = change.bytes.clone();
    bytes[0] = 2;
    assert!(queue(Settings::default()).replay(1, KIND_TASKS, &bytes, at(0)).is_err());
    assert!(queue(Settings::default()).replay(1, 99, &change.bytes, at(0)).is_err());
}

#[test]
fn a_holder_hears_of_what_was_cancelled() {
    let mut queue = queue(Settings::default());
    let step = queue.submit(at(0), task(1));
    done(&mut queue, at(0), step);
    claimed(&mut queue, at(0));
    let step = queue.cancel(at(1), TaskId(1), None);
    assert_eq!(done(&mut queue, at(1), step), Answer::Cancelled(true));
    let told = Answer::Renewed { renewed: Vec::new(), cancelled: vec![TaskId(1)] };
    assert_eq!(queue.heartbeat(at(2), "p"), Step::Done(told));
    assert_eq!(queue.complete(at(2), &end(1, Outcome::Completed, "{}", None)), Err(Refusal::LeaseLost));
}

#[test]
fn who_waits_hears_of_a_delay_that_a_claim_saw_end_first() {
    let mut queue = queue(Settings::default());
    let step = queue.submit(at(0), Submit { delay_ms: 100, ..task(1) });
    done(&mut queue, at(0), step);
    // A claim of another type looks at the queue before the tick does.
    let other = Claim { types: vec!["other".into()], ..claim() };
    assert_eq!(queue.claim(at(100), &other, None), Ok(Step::Done(Answer::Claimed(Vec::new()))));
    assert_eq!(queue.next_due(), Some(100));
    assert_eq!(queue.tick(at(101), 10).wakes, [Wake::Type("t".into())]);
    assert_eq!((queue.next_due(), queue.tick(at(102), 10).wakes.len()), (None, 0));
    assert_eq!(claimed(&mut queue, at(103)).core.id, TaskId(1));
}

#[test]
fn cancelled_tasks_take_up_no_place_among_the_renewals_for_ever() {
    let mut queue = queue(Settings { max_renewals: 1, ..Settings::default() });
    for id in [1, 2] {
        let step = queue.submit(at(0), task(id));
        done(&mut queue, at(0), step);
    }
    assert_eq!(claimed(&mut queue, at(0)).core.id, TaskId(1));
    let step = queue.cancel(at(1), TaskId(1), None);
    done(&mut queue, at(1), step);
    claimed(&mut queue, at(2));
    let over = at(2_000_000);
    let renewed = queue.heartbeat(over, "w");
    let Answer::Renewed { renewed, cancelled } = done(&mut queue, over, Ok(renewed)) else { panic!() };
    assert_eq!((renewed, cancelled), (vec![TaskId(2)], Vec::new()));
}
