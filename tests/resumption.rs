//! Clients that lose the connection of a call's stream and come back, over sockets and over cores.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod common;

use std::time::Duration;

use common::events::{Event, EventClient, Session, metric};
use common::tools::{Events, Millis, eventually};
use common::{Client, TestServer, config};
use ringmesh::{CallError, Context, Registry, ServerConfig};
use serde_json::{Value, json};

/// Sends an event every few milliseconds.
async fn count(args: Events, context: Context) -> Result<&'static str, CallError> {
    for at in 1..=args.count {
        context.progress(at as f64, None, Some(&"x".repeat(args.bytes))).await;
        ringmesh::runtime::sleep(Duration::from_millis(10)).await;
    }
    Ok("counted")
}

/// Sends events as fast as they are taken.
async fn burst(args: Events, context: Context) -> Result<&'static str, CallError> {
    for at in 1..=args.count {
        context.progress(at as f64, None, Some(&"x".repeat(args.bytes))).await;
    }
    Ok("burst")
}

/// Closes the connection and goes on.
async fn part(args: Millis, context: Context) -> Result<&'static str, CallError> {
    context.close_stream();
    ringmesh::runtime::sleep(Duration::from_millis(args.ms)).await;
    context.progress(1.0, None, None).await;
    Ok("back")
}

fn registry() -> Registry {
    common::tools::registry()
        .0
        .dynamic()
        .tool("count", "", count)
        .tool("burst", "", burst)
        .tool("part", "", part)
}

fn server() -> TestServer {
    TestServer::with_tools(config(), registry())
}

fn limited(change: impl FnOnce(&mut ServerConfig)) -> TestServer {
    let mut config = config();
    change(&mut config);
    TestServer::with_tools(config, registry())
}

fn id(event: &Event) -> &str {
    event.id.as_deref().expect("every event has an id")
}

fn progress(events: &[Event]) -> Vec<u64> {
    let values = events.iter().filter_map(|event| event.json()["params"]["progress"].as_u64());
    values.collect()
}

fn refused(session: &Session, last_event_id: &str, status: u16) -> Value {
    let answer = Client::connect(session.addr).ask(session.get(Some(last_event_id)));
    assert_eq!(answer.status, status, "{answer:?}");
    answer.json()
}

#[test]
fn a_call_is_resumed_from_any_core_without_gap_or_repetition() {
    let server = server();
    for revision in ["2025-11-25", "2025-06-18", "2025-03-26"] {
        let session = Session::open(server.addr, revision);
        let mut stream =
            EventClient::open(server.addr, session.call(7, "count", json!({"count": 40, "bytes": 1})));
        let mut events: Vec<Event> = (0..4).map(|_| stream.event()).collect();
        drop(stream);
        // Each connection is on whichever core the kernel chose, and reads a little.
        while events.last().is_none_or(|last| last.json().get("result").is_none()) {
            let mut stream = session.resume(id(events.last().unwrap()));
            for _ in 0..6 {
                match stream.next().unwrap() {
                    Some(event) => events.push(event),
                    None => break,
                }
            }
        }
        assert_eq!(progress(&events), (1..=40).collect::<Vec<u64>>(), "{revision}");
        assert_eq!(events.last().unwrap().json()["id"], 7);
        let mut ids: Vec<&str> = events.iter().map(id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), events.len(), "ids are unique");
        // What ended can be read again for a while, from anywhere in it.
        let again = session.resume(id(&events[10])).rest();
        assert_eq!(again, events[11..]);
        assert_eq!(session.resume(id(events.last().unwrap())).rest(), []);
    }
}

#[test]
fn a_call_ends_without_any_client_and_its_answer_waits() {
    let server = server();
    let session = Session::open(server.addr, "2025-11-25");
    let mut stream = EventClient::open(server.addr, session.call("a", "hum", json!({"ms": 150})));
    let priming = stream.event();
    assert_eq!((priming.data.as_str(), priming.retry_ms), ("", Some(1_000)));
    drop(stream);
    std::thread::sleep(Duration::from_millis(400));
    let events = session.resume(id(&priming)).rest();
    assert_eq!(progress(&events), [1]);
    assert_eq!(events[1].json()["result"]["content"][0]["text"], "hummed");
}

#[test]
fn a_client_that_comes_back_takes_the_stream_over() {
    let server = server();
    let session = Session::open(server.addr, "2025-11-25");
    let mut old = EventClient::open(server.addr, session.call(1, "count", json!({"count": 30, "bytes": 1})));
    let first: Vec<Event> = (0..3).map(|_| old.event()).collect();
    let mut new = session.resume(id(&first[2]));
    // The old connection may have read on before it lost the stream; then it ends in order, without the answer.
    let last_words = old.rest();
    assert!(last_words.iter().all(|event| event.json().get("result").is_none()), "{last_words:?}");
    let rest = new.rest();
    assert_eq!(rest.last().unwrap().json()["id"], 1);
    assert_eq!(progress(&rest), (3..=30).collect::<Vec<u64>>());
}

#[test]
fn the_author_closes_the_connection_and_the_client_comes_back() {
    let server = server();
    let session = Session::open(server.addr, "2025-11-25");
    let mut stream = EventClient::open(server.addr, session.call(1, "part", json!({"ms": 200})));
    let events = stream.rest();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((events[0].data.as_str(), events[0].retry_ms), ("", Some(1_000)));
    let rest = session.resume(id(&events[0])).rest();
    assert_eq!(progress(&rest), [1]);
    assert_eq!(rest[1].json()["result"]["content"][0]["text"], "back");
    // Clients of other revisions would not come back.
    for revision in ["2025-06-18", "2025-03-26"] {
        let session = Session::open(server.addr, revision);
        let events = EventClient::open(server.addr, session.call(1, "part", json!({"ms": 50}))).rest();
        assert_eq!((progress(&events), events.len()), (vec![1], 2), "{revision}");
    }
    let modern = Client::connect(server.addr).ask(common::call("part", json!({"ms": 50})));
    assert_eq!(common::text(&modern.json()), "back");
}

#[test]
fn a_session_keeps_so_many_bytes_and_forgets_the_oldest() {
    let server = limited(|config| config.limits.max_session_replay_bytes = 20_000);
    let session = Session::open(server.addr, "2025-11-25");
    let mut stream =
        EventClient::open(server.addr, session.call(1, "count", json!({"count": 60, "bytes": 1_000})));
    let priming = stream.event();
    drop(stream);
    std::thread::sleep(Duration::from_millis(1_500));
    let error = refused(&session, id(&priming), 400);
    assert!(error["error"]["message"].as_str().unwrap().contains("Last-Event-ID"), "{error}");
    assert_eq!(session.ask(2, "ping", json!({})).status, 200, "the session lives");
    // The newest are there.
    let stem = id(&priming).rsplit_once('-').unwrap().0.to_owned();
    let events = session.resume(&format!("{stem}-55")).rest();
    assert_eq!(progress(&events), (56..=60).collect::<Vec<u64>>());
    assert!(events.last().unwrap().json()["result"].is_object());
    let bytes = metric(server.addr, "ringmesh_replay_bytes");
    assert!(bytes > 1_000.0 && bytes <= 20_000.0, "{bytes}");
    assert!(metric(server.addr, "ringmesh_replay_dropped_events_total") > 30.0);
    assert!(metric(server.addr, r#"ringmesh_limit_hits_total{limit="max_session_replay_bytes"}"#) >= 1.0);
}

#[test]
fn the_process_keeps_so_many_bytes_over_all_sessions() {
    let server = limited(|config| config.limits.max_replay_bytes = 50_000);
    let sessions: Vec<Session> = (0..8).map(|_| Session::open(server.addr, "2025-11-25")).collect();
    let streams: Vec<Vec<Event>> = sessions
        .iter()
        .map(|session| {
            EventClient::open(server.addr, session.call(1, "burst", json!({"count": 20, "bytes": 1_000})))
                .rest()
        })
        .collect();
    assert!(streams.iter().all(|events| events.len() == 22), "whoever reads misses nothing");
    assert!(metric(server.addr, "ringmesh_replay_bytes") <= 50_000.0);
    refused(&sessions[0], id(&streams[0][0]), 400);
    assert_eq!(sessions[7].resume(id(&streams[7][0])).rest().len(), 21);
    assert!(metric(server.addr, r#"ringmesh_limit_hits_total{limit="max_replay_bytes"}"#) >= 1.0);
}

#[test]
fn a_session_keeps_so_many_streams_and_forgets_the_one_that_ended_first() {
    let server = limited(|config| config.limits.max_session_streams = 3);
    let session = Session::open(server.addr, "2025-11-25");
    let mut living = EventClient::open(server.addr, session.call("l", "hum", json!({"ms": 3_000})));
    living.event();
    let read = |at: u64| {
        let call = session.call(at, "events", json!({"count": 1, "bytes": 1}));
        EventClient::open(server.addr, call).rest().remove(0)
    };
    let ended: Vec<Event> = (0..4).map(read).collect();
    refused(&session, id(&ended[0]), 400);
    refused(&session, id(&ended[1]), 400);
    assert_eq!(session.resume(id(&ended[2])).rest().len(), 2);
    assert_eq!(session.resume(id(&ended[3])).rest().len(), 2);
    assert_eq!(living.rest().len(), 2, "the oldest, which lives, is not forgotten");
    assert!(metric(server.addr, r#"ringmesh_limit_hits_total{limit="max_session_streams"}"#) >= 1.0);
}

#[test]
fn a_client_that_stopped_reading_holds_the_tool_back_until_it_is_gone() {
    let server = limited(|config| {
        config.limits.max_stream_queue_bytes = 64 << 10;
        config.limits.write_timeout_ms = 500;
        config.limits.tool_timeout_ms = 60_000;
    });
    let session = Session::open(server.addr, "2025-11-25");
    let arguments = json!({"count": 40_000, "bytes": 1_000});
    let mut stream = EventClient::open(server.addr, session.call(1, "burst", arguments));
    let priming = stream.event();
    // The process keeps no more than what the session may, and the queue of the connection.
    std::thread::sleep(Duration::from_millis(300));
    assert!(metric(server.addr, "ringmesh_replay_bytes") < 2e6);
    // The write times out, the client is given up, and the call runs to its end.
    eventually("the call ends", || {
        metric(server.addr, r#"ringmesh_tool_duration_seconds_count{gen_ai_tool_name="burst"}"#) == 1.0
    });
    let stem = id(&priming).rsplit_once('-').unwrap().0.to_owned();
    let events = session.resume(&format!("{stem}-40000")).rest();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].json()["result"]["content"][0]["text"], "burst");
    assert!(metric(server.addr, "ringmesh_replay_bytes") < 2e6);
    drop(stream);
}

#[test]
fn a_cancelled_call_ends_its_stream_wherever_it_is_read() {
    let server = server();
    let session = Session::open(server.addr, "2025-06-18");
    let mut stream = EventClient::open(server.addr, session.call(5, "hum", json!({"ms": 20_000})));
    let first = stream.event();
    drop(stream);
    let mut back = session.resume(id(&first));
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#;
    assert_eq!(Client::connect(server.addr).ask(session.post(cancel)).status, 202);
    let last = back.rest();
    assert_eq!(last.last().unwrap().json()["error"]["code"], -33499, "{last:?}");
    assert_eq!(session.delete(), 204);
    refused(&session, id(&first), 404);
}

#[test]
fn the_end_of_the_session_ends_its_calls_streams() {
    let server = server();
    let session = Session::open(server.addr, "2025-11-25");
    let mut stream = EventClient::open(server.addr, session.call(5, "hum", json!({"ms": 20_000})));
    stream.event();
    stream.event();
    assert_eq!(session.delete(), 204);
    stream.rest();
    eventually("nothing is kept", || metric(server.addr, "ringmesh_replay_bytes") == 0.0);
}

#[test]
fn what_is_forgotten_by_time_is_refused() {
    let server = limited(|config| config.limits.replay_ttl_ms = 500);
    let session = Session::open(server.addr, "2025-11-25");
    let events =
        EventClient::open(server.addr, session.call(5, "events", json!({"count": 2, "bytes": 9}))).rest();
    assert_eq!(session.resume(id(&events[0])).rest().len(), 3);
    eventually("it is forgotten", || metric(server.addr, "ringmesh_replay_bytes") == 0.0);
    refused(&session, id(&events[0]), 400);
}

/// Reads a call to its end, losing its connection again and again.
fn call_with_losses(session: &Session, id_of_call: u64, seed: u64) {
    let arguments = json!({"count": 25, "bytes": 200});
    let mut stream = EventClient::open(session.addr, session.call(id_of_call, "count", arguments));
    let mut events = vec![stream.event()];
    let mut random = seed | 1;
    loop {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        for _ in 0..(random >> 60) {
            match stream.next().unwrap() {
                Some(event) => events.push(event),
                None => break,
            }
        }
        if events.last().unwrap().json().get("result").is_some() {
            break;
        }
        let new = session.resume(id(events.last().unwrap()));
        // Half of the old connections live on for a while.
        let old = std::mem::replace(&mut stream, new);
        if random & (1 << 40) == 0 {
            drop(old);
        }
    }
    assert_eq!(progress(&events), (1..=25).collect::<Vec<u64>>());
    assert_eq!(events.last().unwrap().json()["id"], id_of_call);
}

#[test]
fn many_clients_that_lose_their_connections_miss_nothing() {
    let server = server();
    let addr = server.addr;
    let threads: Vec<_> = (1..=6_u64)
        .map(|seed| {
            std::thread::spawn(move || {
                let session = Session::open(addr, if seed % 2 == 0 { "2025-11-25" } else { "2025-06-18" });
                (0..3).for_each(|call| call_with_losses(&session, call, seed * 1_000 + call));
                assert_eq!(session.delete(), 204);
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    eventually("nothing is kept", || metric(addr, "ringmesh_replay_bytes") == 0.0);
    assert_eq!(metric(addr, "ringmesh_event_streams_open"), 0.0);
}
