//! One node and its clients.

use super::super::*;
use super::help::*;

#[test]
fn a_task_is_submitted_given_out_and_completed() {
    let mut me = node("me");
    let submitted = submit(&mut me, "t", at(0));
    assert_eq!(*submitted.task_hash, *workflow_task_hash("t", "w"));
    assert_eq!((submitted.priority, &*submitted.owner), (5, "me"));
    assert_eq!(me.clock().count("me"), Some(1), "a submission is an event");
    let given = next(&mut me, at(1)).unwrap();
    assert_eq!((&*given.task_id, &*given.assigned_peer, given.fencing_token.counter), ("t", "me", 1));
    assert_eq!(next(&mut me, at(1)), None);
    let counts = me.counts();
    assert_eq!((counts.pending, counts.assigned, counts.ready), (0, 1, 0));
    assert_eq!(complete(&mut me, "t", at(2)), Ok(false));
    assert_eq!(complete(&mut me, "t", at(2)), Ok(true), "twice is no error");
    assert_eq!(winner(&me, "t"), Some((1, "me".to_owned())));
    let status = serde_json::to_value(me.status()).unwrap();
    assert_eq!(status["completed_tasks"], 1);
    assert_eq!(status["merkle_clock"]["vector"], serde_json::json!({"me": 2}));
    assert_eq!(complete(&mut me, "x", at(2)), Err("task_not_found"));
}

#[test]
fn priority_comes_first_then_age() {
    let mut me = node("me");
    for (time, (id, priority)) in [("low", 1), ("old", 5), ("new", 5), ("high", 10)].into_iter().enumerate() {
        let asked = me.submit(at(time as i64), Submit { priority, ..task(id) });
        land(&mut me, asked);
    }
    let order: Vec<_> = std::iter::from_fn(|| next(&mut me, at(9))).map(|next| next.task_id).collect();
    assert_eq!(order, ["high", "old", "new", "low"].map(Box::from));
}

#[test]
fn nobody_sees_a_change_before_it_is_durable() {
    let (mut me, you) = (node("me"), node("you"));
    let submitted = change(me.submit(at(0), task("t")));
    assert!(me.task("t").is_none() && submitted.refusable);
    assert_eq!(me.submit(at(0), task("t")), Ok(Step::Wait(submitted.sequence)));
    assert_eq!(me.complete(at(0), "t"), Ok(Step::Wait(submitted.sequence)));
    let later = change(me.submit(at(0), task("later")));
    me.commit(later.sequence).unwrap();
    assert_eq!(me.answer_fetch(&you.fetch("me")).tasks, [], "the feed waits for what may come before");
    assert!(me.is_pending_up_to(later.sequence));
    me.abort(submitted.sequence);
    assert_eq!(me.answer_fetch(&you.fetch("me")).tasks.len(), 1);
    assert_eq!(*submit(&mut me, "t", at(1)).task_id, *"t", "what was refused can be submitted again");
    let given = change(me.next_task(at(1)));
    me.abort(given.sequence);
    assert!(next(&mut me, at(1)).is_some() && next(&mut me, at(1)).is_some(), "and given out");
    assert!(me.commit(given.sequence).is_none());
}

#[test]
fn a_task_that_nobody_completes_is_given_out_again() {
    let mut me = node("me");
    submit(&mut me, "t", at(0));
    let first = next(&mut me, at(0)).unwrap();
    let over = me.settings().assignment_ms as i64;
    assert_eq!(tick(&mut me, at(over - 1)).overdue, 0);
    assert_eq!(tick(&mut me, at(over)).overdue, 1);
    let second = next(&mut me, at(over)).unwrap();
    assert!(second.fencing_token > first.fencing_token);
}

#[test]
fn every_bound_of_a_submit_is_named() {
    let settings = Settings { max_tasks: 1, max_name_bytes: 8, max_tags: 2, ..Settings::default() };
    let mut me = node_with("me", settings);
    let long: Box<str> = "x".repeat(9).into();
    let tags = |count: usize| vec!["a".into(); count];
    for (submit, code, part) in [
        (Submit { name: long.clone(), ..task("t") }, "too_large", "name may have at most 8 bytes"),
        (Submit { tags: vec![long], ..task("t") }, "too_large", "a tag may have at most 8"),
        (Submit { tags: tags(3), ..task("t") }, "too_many_tags", "at most 2 tags"),
        (Submit { tags: vec!["".into()], ..task("t") }, "invalid_value", "tag must not be empty"),
        (task(""), "invalid_value", "task_id must not be empty"),
        (Submit { priority: 11, ..task("t") }, "invalid_value", "from 1 to 10"),
        (Submit { priority: 0, ..task("t") }, "invalid_value", "from 1 to 10"),
    ] {
        let refusal = me.submit(at(0), submit).unwrap_err();
        assert_eq!(refusal.code(), code);
        assert!(refusal.to_string().contains(part), "{refusal}");
        assert_eq!(FailedAnswer::from(&refusal).error, code);
    }
    let asked = me.submit(at(0), Submit { tags: vec!["P2P_ONLY".into(), "mine".into()], ..task("t") });
    let Answer::Submitted(submitted) = land(&mut me, asked) else { panic!("another answer") };
    assert_eq!(submitted.unknown_tags, [Box::from("mine")]);
    assert_eq!(*me.task("t").unwrap().task.tags[0], *"p2p-only");
    assert_eq!(me.submit(at(0), task("t")), Err(Refusal::TaskExists));
    assert_eq!(me.submit(at(0), task("u")), Err(Refusal::Full("max_workflow_tasks")));
    let mut small = node_with("me", Settings { max_total_bytes: 100, ..Settings::default() });
    assert_eq!(small.submit(at(0), task("u")), Err(Refusal::Full("max_workflow_bytes")));
}

#[test]
fn completed_tasks_go_when_they_are_old_or_many() {
    let settings = Settings { max_completed: 2, retention_ms: 1_000, ..Settings::default() };
    let mut me = node_with("me", settings);
    for (time, id) in ["a", "b", "c", "open"].into_iter().enumerate() {
        submit(&mut me, id, at(time as i64));
        if id != "open" {
            complete(&mut me, id, at(time as i64)).unwrap();
        }
    }
    assert_eq!(tick(&mut me, at(10)).removed, 1);
    assert!(me.task("a").is_none() && me.task("b").is_some());
    assert_eq!(tick(&mut me, at(1_001)).removed, 1);
    assert_eq!(tick(&mut me, at(5_000)).removed, 1);
    assert_eq!((me.counts().completed, me.counts().pending), (0, 1), "what is open stays");
}

#[test]
fn answers_have_the_fields_of_the_tools() {
    let mut me = node("me");
    let asked = me.submit(at(0), task("t"));
    let json = |answer: Answer| {
        let json = match answer {
            Answer::Submitted(submitted) => serde_json::to_value(SubmitAnswer::from(submitted)),
            Answer::Next(task) => serde_json::to_value(NextAnswer::from(task)),
            Answer::Completed { task_id, already } => {
                serde_json::to_value(CompleteAnswer::new(task_id, already))
            }
            other => panic!("no tool answers {other:?}"),
        };
        json.unwrap()
    };
    let submitted = json(land(&mut me, asked));
    assert_eq!((&submitted["success"], &submitted["task_id"]), (&true.into(), &"t".into()));
    let asked = me.next_task(at(0));
    let given = json(land(&mut me, asked));
    for field in ["task_id", "workflow_id", "name", "tags", "priority", "task_hash", "assigned_peer"] {
        assert!(!given["task"][field].is_null(), "{given}");
    }
    let asked = me.next_task(at(0));
    let none = json(land(&mut me, asked));
    assert!(none["task"].is_null() && none["message"].is_string() && none["success"] == true);
}
