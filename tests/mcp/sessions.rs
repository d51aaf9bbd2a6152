//! The session table: time-outs, bounds, eviction.

use std::time::Duration;

use ringmesh::limits::Limits;
use ringmesh::mcp::{Call, Context, Registry};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::support::{Headers, LEGACY, Server, initialize, poll_pending, request};

#[derive(Deserialize, JsonSchema)]
struct NoArgs {}

fn server(change: impl FnOnce(&mut Limits)) -> Server {
    let wait = |_: NoArgs, _: Context| std::future::pending::<Result<&str, ringmesh::mcp::CallError>>();
    Server::limited(Registry::new().tool("wait", "Waits for ever", wait), change)
}

fn lives(server: &Server, session: &Headers) -> bool {
    match server.legacy(session, "ping", json!({})).status {
        200 => true,
        404 => false,
        other => panic!("{other}"),
    }
}

/// A call that keeps its session in use.
fn waiting(server: &Server, session: &Headers) -> Call {
    let mut call = server.start(session, request("tools/call", json!({"name": "wait"})).to_string()).call();
    poll_pending(&mut call);
    call
}

#[test]
fn an_unused_session_ends() {
    let mut server = server(|limits| limits.session_idle_timeout_ms = 1_000);
    let session = server.open(LEGACY);
    for _ in 0..5 {
        server.advance(Duration::from_millis(900));
        assert_eq!(server.dispatcher.sweep(server.now), 0);
        assert!(lives(&server, &session), "each use counts");
    }
    server.advance(Duration::from_millis(1_000));
    assert!(!lives(&server, &session), "also before the sweeper came by");
    assert_eq!(server.dispatcher.sessions(), 0);
    let session = server.open(LEGACY);
    server.advance(Duration::from_millis(1_000));
    assert_eq!(server.dispatcher.sweep(server.now), 1);
    assert!(!lives(&server, &session));
}

#[test]
fn a_session_must_be_initialized_in_time() {
    let mut server = server(|limits| limits.session_init_timeout_ms = 500);
    let begin = server.now;
    let (late, pinged, used) = (
        server.initialize(&Headers::json(), LEGACY),
        server.initialize(&Headers::json(), LEGACY),
        server.initialize(&Headers::json(), LEGACY),
    );
    server.advance(Duration::from_millis(400));
    assert!(lives(&server, &pinged));
    assert_eq!(server.legacy(&used, "tools/list", json!({})).status, 200);
    server.advance(Duration::from_millis(100));
    assert_eq!(server.dispatcher.sweep(server.now), 2, "a ping does not make a session initialized");
    assert!(!lives(&server, &late) && !lives(&server, &pinged) && lives(&server, &used));
    assert_eq!(server.now - begin, Duration::from_millis(500));
}

#[test]
fn a_session_in_use_is_not_swept() {
    let mut server = server(|limits| limits.session_idle_timeout_ms = 1_000);
    let session = server.open(LEGACY);
    let call = waiting(&server, &session);
    server.advance(Duration::from_secs(10));
    assert_eq!(server.dispatcher.sweep(server.now), 0);
    assert!(lives(&server, &session));
    drop(call);
    server.advance(Duration::from_secs(10));
    assert_eq!(server.dispatcher.sweep(server.now), 1);
}

#[test]
fn a_full_table_evicts_the_oldest_that_waits_then_the_oldest_idle() {
    let mut server = server(|limits| limits.max_sessions = 4);
    let open = |server: &mut Server, initialized: bool| {
        server.advance(Duration::from_millis(10));
        if initialized { server.open(LEGACY) } else { server.initialize(&Headers::json(), LEGACY) }
    };
    let used_old = open(&mut server, true);
    let fresh_old = open(&mut server, false);
    let fresh_new = open(&mut server, false);
    let used_new = open(&mut server, true);
    assert_eq!(server.dispatcher.sessions(), 4);
    let fifth = open(&mut server, true);
    assert!(!lives(&server, &fresh_old), "the oldest that waits goes first");
    let sixth = open(&mut server, true);
    assert!(!lives(&server, &fresh_new));
    // Now all are initialized; `used_old` was just used, so `used_new` is the oldest idle.
    server.advance(Duration::from_millis(10));
    assert!(lives(&server, &used_old));
    let seventh = open(&mut server, true);
    assert!(!lives(&server, &used_new));
    for session in [&used_old, &fifth, &sixth, &seventh] {
        assert!(lives(&server, session));
    }
    assert_eq!(server.dispatcher.sessions(), 4);
}

#[test]
fn sessions_in_use_are_never_evicted() {
    let server = server(|limits| limits.max_sessions = 3);
    let sessions: Vec<_> = (0..3).map(|_| server.open(LEGACY)).collect();
    let mut calls: Vec<_> = sessions.iter().map(|session| waiting(&server, session)).collect();
    let got = server.post(&Headers::json(), initialize(LEGACY).to_string());
    assert_eq!((got.status, got.code(), got.error()), (503, -33503, Some("sessions_full")));
    assert_eq!((got.retry_after_s, got.session.is_none()), (Some(1), true));
    assert_eq!(got.label.error.unwrap().limit().unwrap().name(), "max_sessions");
    calls.remove(1);
    let fourth = server.open(LEGACY);
    assert!(lives(&server, &fourth) && lives(&server, &sessions[0]) && lives(&server, &sessions[2]));
    assert!(!lives(&server, &sessions[1]));
}

#[test]
fn a_principal_holds_so_many_sessions_and_no_more() {
    let server = server(|limits| limits.max_sessions_per_principal = 2);
    let of = |name: &str| Headers { principal: Some(name.into()), ..Headers::json() };
    let alice = [server.initialize(&of("alice"), LEGACY), server.initialize(&of("alice"), LEGACY)];
    let got = server.post(&of("alice"), initialize(LEGACY).to_string());
    assert_eq!((got.status, got.error(), got.retry_after_s), (503, Some("principal_sessions_full"), Some(1)));
    let bob = server.initialize(&of("bob"), LEGACY);
    assert_eq!(server.dispatcher.sessions(), 3);
    assert_eq!(server.delete(&alice[0]).status, 204);
    let third = server.initialize(&of("alice"), LEGACY);
    for session in [&alice[1], &third, &bob] {
        assert!(lives(&server, session));
    }
}

#[test]
fn one_principal_alone_gets_the_whole_table_by_eviction() {
    let server = server(|limits| (limits.max_sessions, limits.max_sessions_per_principal) = (5, 5));
    for _ in 0..100 {
        server.open(LEGACY);
    }
    assert_eq!(server.dispatcher.sessions(), 5);
}

#[test]
fn sessions_opened_and_abandoned_three_times_leave_nothing() {
    let mut server = server(|_| {});
    for _ in 0..3 {
        for _ in 0..10_000 {
            let got = server.post(&Headers::json(), initialize(LEGACY).to_string());
            assert_eq!(got.status, 200);
        }
        assert_eq!(server.dispatcher.sessions(), 10_000);
        server.advance(Duration::from_secs(31));
    }
    assert_eq!(server.dispatcher.sweep(server.now), 10_000);
    assert_eq!(server.dispatcher.sessions(), 0);
    let totals = server.dispatcher.session_totals();
    assert_eq!((totals.opened, totals.evicted, totals.never_initialized), (30_000, 20_000, 10_000));
    assert_eq!((totals.deleted, totals.idle), (0, 0));
}

#[test]
fn any_core_serves_a_session() {
    let server = server(|_| {});
    let session = server.open(LEGACY);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let dispatcher = server.dispatcher.clone();
            let (session, now) = (&session, server.now);
            scope.spawn(move || {
                let server = Server { dispatcher, now };
                for _ in 0..200 {
                    assert!(lives(&server, session));
                    let own = server.open(LEGACY);
                    assert_eq!(server.delete(&own).status, 204);
                }
            });
        }
    });
    assert_eq!(server.dispatcher.sessions(), 1);
}

#[test]
fn the_bound_holds_while_every_core_opens_sessions() {
    let mut server = server(|limits| limits.max_sessions = 50);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let dispatcher = server.dispatcher.clone();
            let now = server.now;
            scope.spawn(move || {
                let server = Server { dispatcher, now };
                for _ in 0..500 {
                    let got = server.post(&Headers::json(), initialize(LEGACY).to_string());
                    // Places may all be taken by openings under way.
                    assert!(matches!(got.status, 200 | 503), "{}", got.text);
                    assert!(server.dispatcher.sessions() <= 50);
                }
            });
        }
    });
    assert_eq!(server.dispatcher.sessions(), 50);
    server.advance(Duration::from_secs(60));
    assert_eq!((server.dispatcher.sweep(server.now), server.dispatcher.sessions()), (50, 0));
    let totals = server.dispatcher.session_totals();
    assert_eq!(totals.opened, totals.evicted + totals.never_initialized);
}
