//! Several nodes: hand-over, silence, splits.

use super::super::*;
use super::help::*;

#[test]
fn a_task_is_kept_until_its_owner_has_acknowledged_it() {
    let (mut a, mut b, id) = pair_with_task(at(0));
    assert!(next(&mut b, at(1)).is_none(), "it is not b's to give out");
    assert_eq!(complete(&mut b, &id, at(1)), Err("not_holder"));
    assert!(beat(&b, &mut a, at(1)), "a hears that there is news");
    let merged = page(&b, &mut a, at(1));
    assert!(merged.new > 0 && !b.is_handed_over(&id));
    b.take_ack(&merged.ack.unwrap());
    assert!(b.is_handed_over(&id));
    assert!(!beat(&b, &mut a, at(1)), "nothing is left to fetch");
    assert_eq!(*next(&mut a, at(2)).unwrap().task_id, *id);
    assert_eq!(complete(&mut a, &id, at(3)), Ok(false));
    pull(&mut a, &mut b, at(4));
    assert_eq!((winner(&b, &id), winner(&a, &id)), (winner(&a, &id), Some((1, "a".to_owned()))));
}

#[test]
fn an_owner_that_crashed_before_its_acknowledgement_fetches_again() {
    let (mut a, mut b, id) = pair_with_task(at(0));
    let fetched = a.sift(b.answer_fetch(&a.fetch("b")));
    let durable = change(a.take_fetched("b", a.verifier().check(fetched).unwrap(), at(1)));
    let mut again = node("a");
    again.replay(durable.sequence, durable.kind, &durable.bytes, at(2)).unwrap();
    again.replayed();
    assert_eq!(*next(&mut again, at(2)).unwrap().task_id, *id, "it has the task");
    beat(&b, &mut again, at(3));
    let merged = page(&b, &mut again, at(3));
    assert_eq!((merged.new, merged.changed), (0, 0), "and learns nothing by fetching it");
    b.take_ack(&merged.ack.unwrap());
    assert!(b.is_handed_over(&id));
}

#[test]
fn silence_counts_from_when_a_peer_could_have_been_heard() {
    let (mut a, mut b, id) = pair_with_task(at(0));
    meet(&mut a, &mut b, at(10));
    assert_eq!(tick(&mut b, at(10 + TIMEOUT_MS)).taken_over, 0);
    assert_eq!(tick(&mut b, at(11 + TIMEOUT_MS)).taken_over, 1);
    // A third node that never heard of a gives it the same time, from when it saw a named.
    let (mut c, mut d) = (node("c"), node("d"));
    let mut other = node("b");
    beat(&a, &mut other, at(0));
    let id_of_other = owned_by(&mut other, "a", at(0));
    pull(&mut other, &mut c, at(50));
    pull(&mut c, &mut d, at(60));
    assert_eq!(tick(&mut d, at(60 + TIMEOUT_MS)).taken_over, 0);
    assert_eq!(tick(&mut d, at(61 + TIMEOUT_MS)).taken_over, 1, "nobody of the epoch is left");
    assert!(d.task(&id_of_other).is_some() && b.task(&id).is_some());
}

#[test]
fn an_owner_that_returns_finds_its_task_taken_over() {
    let (mut a, mut b, id) = pair_with_task(at(0));
    pull(&mut b, &mut a, at(1));
    assert!(next(&mut a, at(2)).is_some());
    pull(&mut a, &mut b, at(3));
    let later = at(4 + TIMEOUT_MS);
    assert_eq!(tick(&mut b, later).taken_over, 1);
    let again = next(&mut b, later).unwrap();
    assert_eq!(again.fencing_token.counter, 3, "above that of a, whose right has ended");
    pull(&mut b, &mut a, later);
    assert_eq!(complete(&mut a, &id, later), Err("taken_over"));
    assert_eq!(complete(&mut b, &id, later), Ok(false));
    meet(&mut a, &mut b, later);
    assert_eq!(winner(&a, &id), Some((3, "b".to_owned())));
    assert_eq!(complete(&mut a, &id, later), Ok(true), "now it is done");
}

#[test]
fn a_completion_that_races_with_a_take_over_is_not_undone() {
    let (mut a, mut b, id) = pair_with_task(at(0));
    pull(&mut b, &mut a, at(1));
    next(&mut a, at(2)).unwrap();
    let later = at(3 + TIMEOUT_MS);
    assert_eq!(tick(&mut b, later).taken_over, 1);
    assert_eq!(complete(&mut a, &id, later), Ok(false), "a has not heard of it");
    meet(&mut a, &mut b, later);
    assert_eq!((winner(&a, &id), winner(&b, &id)), (Some((1, "a".to_owned())), Some((1, "a".to_owned()))));
    assert!(next(&mut b, later).is_none(), "what is known to be done is not given out");
}

#[test]
fn of_two_halves_that_both_completed_the_larger_token_wins() {
    let (mut a, mut b, id) = pair_with_task(at(0));
    pull(&mut b, &mut a, at(1));
    next(&mut a, at(2)).unwrap();
    let later = at(2 + TIMEOUT_MS);
    assert_eq!(tick(&mut b, later).taken_over, 1);
    // Both drew (1, …); the draw of counters goes to the larger id.
    assert_eq!(b.task(&id).unwrap().state.mark.as_ref().unwrap().token.counter, 1);
    b.complete(later, &id).map(|step| land(&mut b, Ok(step))).unwrap();
    complete(&mut a, &id, later).unwrap();
    meet(&mut a, &mut b, later);
    assert_eq!((winner(&a, &id), winner(&b, &id)), (Some((1, "b".to_owned())), Some((1, "b".to_owned()))));
    assert_eq!(a.task(&id), b.task(&id));
}

#[test]
fn one_id_submitted_on_two_nodes_is_one_task() {
    let (mut a, mut b) = (node("a"), node("b"));
    submit(&mut b, "t", at(5));
    submit(&mut a, "t", at(9));
    complete(&mut a, "t", at(10)).unwrap();
    meet(&mut a, &mut b, at(11));
    assert_eq!(a.task("t"), b.task("t"));
    assert_eq!(&*a.task("t").unwrap().task.submitter, "b", "the earlier submission stays");
    assert_eq!(a.counts().completed, 1, "and it is done");
}

#[test]
fn only_peers_that_announce_it_are_members() {
    let mut me = node("me");
    for peer in ["p0", "p1", "p2", "p3"] {
        let heard = me.hear(peer, None, None, at(0));
        me.commit(heard.change.unwrap().sequence).unwrap();
    }
    assert_eq!(me.task("t").map(|image| image.task.members.len()), None);
    submit(&mut me, "t", at(0));
    assert_eq!(me.task("t").unwrap().task.members.len(), 1);
    assert!(me.hear("p1", Some(true), None, at(0)).change.is_some());
    assert!(me.hear("p1", Some(true), None, at(1)).change.is_none(), "nothing new to record");
    submit(&mut me, "u", at(0));
    assert_eq!(me.task("u").unwrap().task.members.len(), 2);
    submit(&mut me, "v", at(2 + TIMEOUT_MS));
    assert_eq!(me.task("v").unwrap().task.members.len(), 1, "a silent one is none");
    assert_eq!((me.known_peers(at(0)).len(), me.status().known_peers), (4, 4));
}

#[test]
fn a_feed_is_read_in_bounded_pages_and_from_the_start_when_it_is_new() {
    let settings = Settings { max_fetch_tasks: 4, ..Settings::default() };
    let (mut a, mut b) = (node_with("a", settings.clone()), node("b"));
    (0..10).for_each(|task| drop(submit(&mut a, &format!("t{task}"), at(0))));
    beat(&a, &mut b, at(0));
    let sizes: Vec<_> =
        (0..3).map(|_| page(&a, &mut b, at(0))).map(|merged| (merged.new, merged.more)).collect();
    assert_eq!(sizes, [(4, true), (4, true), (2, false)]);
    let small = Settings { max_fetch_bytes: 1, ..settings };
    let mut again = Scheduler::new("a", small, crate::queue::Sequencer::default(), 2);
    submit(&mut again, "other", at(0));
    let fetched = again.answer_fetch(&b.fetch("a"));
    assert_eq!((fetched.after, fetched.tasks.len()), (0, 1), "one task at least");
    assert!(beat(&again, &mut b, at(0)));
    assert_eq!(page(&again, &mut b, at(0)).new, 1);
}

#[test]
fn a_node_without_room_does_not_acknowledge_and_reads_again() {
    let (mut a, mut b) = (node("a"), node_with("b", Settings { max_tasks: 1, ..Settings::default() }));
    submit(&mut b, "mine", at(0));
    submit(&mut a, "t", at(0));
    beat(&a, &mut b, at(0));
    let merged = page(&a, &mut b, at(0));
    assert_eq!((merged.no_room, merged.ack), (1, None));
    assert!(beat(&a, &mut b, at(0)), "it will be asked for again");
    complete(&mut b, "mine", at(0)).unwrap();
    tick(&mut b, at(8 * 86_400_000));
    assert_eq!(page(&a, &mut b, at(0)).new, 1);
}

#[test]
fn what_no_node_would_send_is_left_out() {
    let mut a = node("a");
    submit(&mut a, "t", at(0));
    let sound = a.answer_fetch(&node("b").fetch("a"));
    let verifier = node("b").verifier();
    let refused = |alter: &dyn Fn(&mut serde_json::Value)| {
        let mut json = serde_json::to_value(&sound).unwrap();
        alter(&mut json);
        verifier.check(Fetched::read(&json.to_string()).unwrap()).map(|verified| verified.refused)
    };
    assert_eq!(refused(&|_| ()), Ok(0));
    let long = "x".repeat(513);
    for (field, value) in [
        ("task_id", serde_json::json!("")),
        ("task_id", serde_json::json!(long)),
        ("name", serde_json::json!(long)),
        ("priority", serde_json::json!(11)),
        ("members", serde_json::json!([])),
        ("members", serde_json::json!(vec!["p"; 65])),
        ("tags", serde_json::json!(vec!["t"; 33])),
    ] {
        assert_eq!(
            refused(&|json| json["tasks"][0]["task"][field] = value.clone()),
            Ok(1),
            "{field} {value}"
        );
    }
    let token =
        serde_json::json!({"token": {"counter": (1_u64 << 53) + 1, "peer_id": "p"}, "assigned": false});
    assert_eq!(refused(&|json| json["tasks"][0]["state"]["mark"] = token.clone()), Ok(1));
    let twice = |json: &mut serde_json::Value| json["tasks"] = vec![json["tasks"][0].clone(); 2].into();
    assert_eq!(refused(&twice), Ok(1));
    let many = |json: &mut serde_json::Value| json["tasks"] = vec![json["tasks"][0].clone(); 257].into();
    assert!(refused(&many).unwrap_err().contains("max_fetch_tasks"));
    assert!(refused(&|json| json["after"] = u64::MAX.into()).is_err());
    // The order of the members is computed, whatever was sent.
    let members = |json: &mut serde_json::Value| {
        json["tasks"][0]["task"]["members"] = serde_json::json!(["z", "y", "x", "w", "z"]);
    };
    let mut json = serde_json::to_value(&sound).unwrap();
    members(&mut json);
    let verified = verifier.check(Fetched::read(&json.to_string()).unwrap()).unwrap();
    let spec = &verified.fetched.tasks[0].task;
    assert_eq!(owner(&spec.clock_root, &spec.task_hash(), ["z", "y", "x", "w"]), Some(spec.owner()));
    assert!(PeerBeat::read("{}", 4).is_err() && PeerBeat::read("5", 4).is_err());
}

#[test]
fn what_all_have_forgotten_does_not_come_back() {
    let (mut a, mut b) = (node("a"), node("b"));
    submit(&mut a, "t", at(0));
    complete(&mut a, "t", at(0)).unwrap();
    let late = at(a.settings().retention_ms as i64 + 1);
    assert_eq!(page(&a, &mut b, late).new, 0);
}
