#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;

use super::tests::{core, open, options, run};
use super::{LocalStore, Store, StoreError, StoreOptions};
use crate::limits::{Limit, Limits};
use crate::runtime::sleep;
use crate::scheduler::{PeerBeat, StatusAnswer, Submit};

fn task(task_id: &str) -> Submit {
    Submit { task_id: task_id.into(), workflow_id: "w".into(), name: "n".into(), tags: vec![], priority: 5 }
}

/// A node whose tasks are gone with it.
fn node(peer_id: &str, limits: &Limits) -> LocalStore {
    let (store, _) = Store::open(StoreOptions::from_limits(limits, peer_id)).unwrap();
    LocalStore::new(store, 0)
}

fn beat(of: &LocalStore) -> PeerBeat {
    let json = serde_json::to_string(&of.workflows().beat()).unwrap();
    PeerBeat::read(&json, of.workflows().max_clock_entries()).unwrap()
}

/// A heartbeat from one node to another, and what the other then fetches; how many tasks were news.
async fn heartbeat(from: (&str, &LocalStore), to: (&str, &LocalStore)) -> usize {
    if !to.1.workflows().hear_beat(from.0, &beat(from.1)) {
        return 0;
    }
    let mut news = 0;
    loop {
        let fetched = from.1.workflows().answer_fetch(&to.1.workflows().fetch(from.0));
        let merged = to.1.workflows().take_fetched(from.0, fetched).await.unwrap();
        news += merged.new + merged.changed;
        from.1.workflows().take_ack(&merged.ack.unwrap());
        if !merged.more {
            return news;
        }
    }
}

fn by_status(status: &StatusAnswer) -> [usize; 4] {
    [status.pending_tasks, status.assigned_tasks, status.completed_tasks, status.queue_size]
}

#[test]
fn tasks_clock_and_peers_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let first = path.clone();
    run(move |scope| async move {
        let local = core(open(&first), &scope);
        let workflows = local.workflows();
        for id in ["a", "b"] {
            assert_eq!(&*workflows.submit(task(id)).await.unwrap().owner, "a-node");
        }
        assert_eq!(&*workflows.next().await.unwrap().unwrap().task_id, "a");
        assert_eq!(workflows.complete("a").await, Ok(false));
        local.take_snapshot().await.unwrap();
        assert_eq!(workflows.complete("a").await, Ok(true));
        workflows.submit(task("c")).await.unwrap();
        assert_eq!(workflows.hear("a-peer", Some(true), None), 0);
        // A change that nobody waits for is durable with the next one that somebody does.
        assert_eq!(&*workflows.next().await.unwrap().unwrap().task_id, "b");
        local.stop();
    });
    run(move |scope| async move {
        let (store, report) = Store::open(options(&path)).unwrap();
        assert_eq!(report.workflow_tasks, 3);
        let local = core(store, &scope);
        let status = local.workflows().status();
        assert_eq!(by_status(&status), [1, 1, 1, 1]);
        assert_eq!((status.merkle_clock.count("a-node"), status.known_peers), (Some(4), 1));
        let stats = local.store().stats().workflows;
        assert_eq!([stats.pending, stats.assigned, stats.completed], [1, 1, 1]);
        local.stop();
    });
}

#[test]
fn of_two_who_complete_a_task_at_once_the_second_hears_that_it_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    run(move |scope| async move {
        let local = core(open(&path), &scope);
        let workflows = local.workflows();
        workflows.submit(task("a")).await.unwrap();
        let (first, second) =
            futures_lite::future::zip(workflows.complete("a"), workflows.complete("a")).await;
        assert_eq!((first, second), (Ok(false), Ok(true)));
        let again = workflows.submit(task("a")).await.unwrap_err();
        assert_eq!((again.code(), again.limit()), ("task_exists", None));
        local.stop();
    });
}

#[test]
fn a_node_that_is_full_says_which_limit_it_is() {
    let limits = Limits { max_workflow_tasks: 1, ..Limits::default() };
    let node = node("a", &limits);
    futures_lite::future::block_on(async {
        node.workflows().submit(task("a")).await.unwrap();
        let full = node.workflows().submit(task("b")).await.unwrap_err();
        assert_eq!((full.code(), full.limit()), ("workflow_full", Some(Limit::WorkflowTasks)));
        assert!(full.to_string().contains("max_workflow_tasks"), "{full}");
    });
}

#[test]
fn two_nodes_share_out_what_one_of_them_took() {
    let (a, b) = (node("a", &Limits::default()), node("b", &Limits::default()));
    futures_lite::future::block_on(async {
        heartbeat(("b", &b), ("a", &a)).await;
        heartbeat(("a", &a), ("b", &b)).await;
        let mut owned = 0;
        for number in 0..40 {
            let submitted = a.workflows().submit(task(&format!("t{number}"))).await.unwrap();
            owned += usize::from(&*submitted.owner == "b");
        }
        assert!((1..40).contains(&owned), "{owned}");
        assert_eq!(heartbeat(("a", &a), ("b", &b)).await, 40);
        assert_eq!(heartbeat(("a", &a), ("b", &b)).await, 0);
        assert_eq!(
            (b.workflows().status().queue_size, a.workflows().status().queue_size),
            (owned, 40 - owned)
        );
        for node in [&a, &b] {
            while let Some(task) = node.workflows().next().await.unwrap() {
                assert_eq!(node.workflows().complete(&task.task_id).await, Ok(false));
            }
        }
        heartbeat(("a", &a), ("b", &b)).await;
        heartbeat(("b", &b), ("a", &a)).await;
        for node in [&a, &b] {
            assert_eq!(by_status(&node.workflows().status()), [0, 0, 40, 0]);
        }
    });
}

#[test]
fn a_page_that_has_no_place_in_a_feed_is_refused() {
    let (a, b) = (node("a", &Limits::default()), node("b", &Limits::default()));
    futures_lite::future::block_on(async {
        let mut page = a.workflows().answer_fetch(&b.workflows().fetch("a"));
        page.after = page.through + 1;
        let refused = b.workflows().take_fetched("a", page).await.unwrap_err();
        assert!(matches!(refused, StoreError::BadPage(_)), "{refused}");
    });
}

#[test]
fn the_tasks_of_a_silent_peer_are_taken_over() {
    let limits = Limits { workflow_peer_timeout_ms: 100, ..Limits::default() };
    let store = Store::open(StoreOptions::from_limits(&limits, "a")).unwrap().0;
    run(move |_| async move {
        let local = LocalStore::new(Arc::clone(&store), 0);
        let workflows = local.workflows();
        workflows.hear("b", Some(true), None);
        let mut owned = 0;
        for number in 0..20 {
            let submitted = workflows.submit(task(&format!("t{number}"))).await.unwrap();
            owned += u64::from(&*submitted.owner == "b");
        }
        assert!(owned > 0);
        let given_out = async {
            while workflows.status().queue_size < 20 {
                sleep(Duration::from_millis(20)).await;
                // A word that says nothing of workflows does not end the silence.
                workflows.hear("b", None, None);
            }
        };
        local.keep_workflows().or(given_out).await;
        assert_eq!(store.stats().workflows.taken_over, owned);
    });
}
