//! The streams of a session: its own on GET, those of its calls, and resuming either.

use std::time::Duration;

use ringmesh::mcp::{Context, Feed, Registry};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Event, Headers, LEGACY, Server, feed_end, feed_events};

#[derive(Deserialize, JsonSchema)]
struct NoArgs {}

fn server() -> Server {
    Server::new(Registry::new().dynamic().tool("hi", "Greets", |_: NoArgs, _: Context| async { Ok("hi") }))
}

fn resume(headers: &Headers, id: &str) -> Headers {
    Headers { last_event_id: Some(id.into()), ..headers.clone() }
}

fn methods(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.data["method"].as_str().unwrap_or("")).collect()
}

fn ids(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.id.clone().expect("every event has an id")).collect()
}

fn refused(server: &Server, headers: &Headers, status: u16, error: &str) {
    let got = server.get(headers);
    assert_eq!((got.status, got.error()), (status, Some(error)), "{}", got.text);
    assert!(got.body().get("id").is_none());
}

#[test]
fn a_session_has_one_stream_of_its_own() {
    let server = server();
    let session = server.open(LEGACY);
    let first = server.open_stream(&session);
    refused(&server, &session, 409, "stream_taken");
    drop(first);
    let second = server.open_stream(&session);
    refused(&server, &session, 409, "stream_taken");
    drop(second);
    // Another session has its own.
    let (_one, _two) = (server.open_stream(&session), server.open_stream(&server.open(LEGACY)));
}

#[test]
fn get_is_checked_as_post_is() {
    let server = server();
    let session = server.open(LEGACY);
    let with = |change: &dyn Fn(&mut Headers)| {
        let mut headers = session.clone();
        change(&mut headers);
        headers
    };
    refused(&server, &with(&|headers| headers.accept = None), 406, "not_acceptable");
    refused(
        &server,
        &with(&|headers| headers.accept = Some("application/json".into())),
        406,
        "not_acceptable",
    );
    refused(&server, &with(&|headers| headers.session = None), 400, "session_required");
    refused(&server, &with(&|headers| headers.session = Some("x".into())), 404, "session_not_found");
    refused(&server, &with(&|headers| headers.version = Some("2025-06-18".into())), 400, "session_version");
    refused(&server, &with(&|headers| headers.principal = Some("mallory".into())), 404, "session_not_found");
    assert_eq!(server.dispatcher.event_streams(), 0);
    let events_only = with(&|headers| {
        headers.accept = Some("text/event-stream".into());
        headers.version = None;
        headers.last_event_id = Some(String::new());
    });
    drop(server.open_stream(&events_only));
}

#[test]
fn the_newest_revision_with_sessions_is_primed_and_older_ones_are_not() {
    let server = Server::limited(Registry::new().dynamic(), |limits| limits.sse_retry_ms = 1_500);
    let handle = server.dispatcher.registry_handle();
    for (version, primed) in
        [("2025-11-25", true), ("2025-06-18", false), ("2025-03-26", false), ("2024-11-05", false)]
    {
        let session = server.open(version);
        let mut feed = server.open_stream(&session);
        let first = feed_events(&mut feed);
        assert_eq!(first.len(), usize::from(primed), "{version}");
        if let [priming] = &first[..] {
            assert_eq!((&priming.data, priming.retry_ms), (&Value::Null, Some(1_500)));
        }
        handle.tools_changed();
        let events = feed_events(&mut feed);
        assert_eq!(methods(&events), ["notifications/tools/list_changed"], "{version}");
        assert!(events[0].id.is_some() && events[0].data.get("params").is_none());
    }
}

#[test]
fn what_was_sent_and_not_read_is_replayed_and_only_that() {
    let server = server();
    let handle = server.dispatcher.registry_handle();
    let session = server.open(LEGACY);
    let mut feed = server.open_stream(&session);
    let priming = ids(&feed_events(&mut feed)).remove(0);
    for change in [0, 1, 2] {
        match change {
            0 => handle.tools_changed(),
            1 => handle.prompts_changed(),
            _ => handle.resources_changed(),
        }
        assert_eq!(feed_events(&mut feed).len(), 1);
    }
    drop(feed);
    let mut all = server.open_stream(&resume(&session, &priming));
    let events = feed_events(&mut all);
    let lists = ["tools", "prompts", "resources"].map(|list| format!("notifications/{list}/list_changed"));
    assert_eq!(methods(&events), lists);
    let mut unique = ids(&events);
    unique.dedup();
    assert_eq!(unique.len(), 3);
    drop(all);
    let mut rest = server.open_stream(&resume(&session, &unique[1]));
    assert_eq!(methods(&feed_events(&mut rest)), lists[2..]);
    handle.tools_changed();
    assert_eq!(methods(&feed_events(&mut rest)), lists[..1], "and then goes on");
    drop(rest);
    // Without an id it begins with what is new.
    let mut anew = server.open_stream(&session);
    assert_eq!(methods(&feed_events(&mut anew)), [""]);
}

#[test]
fn who_resumes_takes_the_stream_over() {
    let server = server();
    let handle = server.dispatcher.registry_handle();
    let session = server.open(LEGACY);
    let mut old = server.open_stream(&session);
    let id = ids(&feed_events(&mut old)).remove(0);
    let mut new = server.open_stream(&resume(&session, &id));
    handle.tools_changed();
    assert!(feed_end(&mut old).is_some_and(|(answer, _)| !answer.has_body), "the old connection ends");
    assert_eq!(feed_events(&mut old), [], "and gets nothing more");
    assert_eq!(methods(&feed_events(&mut new)), ["notifications/tools/list_changed"]);
    drop(old);
    refused(&server, &session, 409, "stream_taken");
    handle.prompts_changed();
    assert_eq!(feed_events(&mut new).len(), 1);
}

#[test]
fn ids_that_lead_nowhere_are_refused_and_the_session_lives() {
    let server = server();
    let handle = server.dispatcher.registry_handle();
    let (session, other) = (server.open(LEGACY), server.open(LEGACY));
    let mut feed = server.open_stream(&session);
    let id = ids(&feed_events(&mut feed)).remove(0);
    handle.tools_changed();
    drop(feed);
    let (stem, _) = id.rsplit_once('-').unwrap();
    let later = format!("{stem}-9");
    let unknown_stream = id.replacen("-1-", "-77-", 1);
    for bad in ["x", "0", "-1-1-1", "00000000-1-0", &later, &unknown_stream] {
        refused(&server, &resume(&session, bad), 400, "invalid_event_id");
    }
    // The id of another session's stream, also where that session has a stream with the same number.
    drop(server.open_stream(&other));
    refused(&server, &resume(&other, &id), 400, "invalid_event_id");
    assert_eq!(server.legacy(&session, "ping", json!({})).status, 200);
    drop(server.open_stream(&resume(&session, &id)));
}

#[test]
fn a_session_with_an_open_stream_is_not_idle() {
    let mut server = Server::limited(Registry::new().dynamic(), |limits| {
        limits.session_idle_timeout_ms = 1_000;
        limits.max_sessions = 1;
    });
    let session = server.open(LEGACY);
    let feed = server.open_stream(&session);
    server.advance(Duration::from_secs(10));
    assert_eq!(server.dispatcher.sweep(server.now), 0);
    let got = server.post(&Headers::json(), crate::support::initialize(LEGACY).to_string());
    assert_eq!((got.status, got.error()), (503, Some("sessions_full")), "nor evicted");
    drop(feed);
    server.advance(Duration::from_secs(10));
    assert_eq!(server.dispatcher.sweep(server.now), 1);
}

#[test]
fn the_end_of_a_session_ends_its_streams_and_frees_what_it_kept() {
    let server = server();
    let handle = server.dispatcher.registry_handle();
    let session = server.open(LEGACY);
    let mut feed = server.open_stream(&session);
    handle.tools_changed();
    let id = ids(&feed_events(&mut feed)).remove(0);
    assert!(server.dispatcher.replay_bytes() > 0);
    assert_eq!(server.delete(&session).status, 204);
    assert!(feed_end(&mut feed).is_some());
    assert_eq!(server.dispatcher.replay_bytes(), 0);
    refused(&server, &resume(&session, &id), 404, "session_not_found");
    handle.tools_changed();
    assert_eq!(feed_events(&mut feed), []);
}

#[test]
fn a_stream_without_a_reader_is_forgotten_in_time() {
    let mut server = Server::limited(Registry::new().dynamic(), |limits| limits.replay_ttl_ms = 5_000);
    let handle = server.dispatcher.registry_handle();
    let session = server.open(LEGACY);
    let mut feed = server.open_stream(&session);
    handle.tools_changed();
    let id = ids(&feed_events(&mut feed)).remove(0);
    drop(feed);
    let sweep = |server: &mut Server, seconds| {
        server.dispatcher.sweep(server.now);
        server.advance(Duration::from_secs(seconds));
        server.dispatcher.sweep(server.now);
    };
    sweep(&mut server, 4);
    let feed: Feed = server.open_stream(&resume(&session, &id));
    drop(feed);
    sweep(&mut server, 6);
    assert_eq!(server.dispatcher.replay_bytes(), 0);
    refused(&server, &resume(&session, &id), 400, "invalid_event_id");
    // What changes meanwhile waits for the next stream, whose ids are new ones.
    handle.prompts_changed();
    let mut feed = server.open_stream(&session);
    let events = feed_events(&mut feed);
    assert_eq!(methods(&events), ["", "notifications/prompts/list_changed"]);
    assert!(!ids(&events).contains(&id));
}

#[test]
fn a_session_that_idles_away_or_makes_room_leaves_nothing() {
    let mut server = Server::limited(Registry::new().dynamic(), |limits| {
        limits.session_idle_timeout_ms = 1_000;
        limits.max_sessions = 2;
    });
    let handle = server.dispatcher.registry_handle();
    let leave_events = |server: &Server| {
        let session = server.open(LEGACY);
        let mut feed = server.open_stream(&session);
        handle.tools_changed();
        feed_events(&mut feed);
        drop(feed);
        assert!(server.dispatcher.replay_bytes() > 0);
    };
    leave_events(&server);
    server.advance(Duration::from_secs(2));
    assert_eq!((server.dispatcher.sweep(server.now), server.dispatcher.replay_bytes()), (1, 0));
    leave_events(&server);
    // Two more, the second of which needs the first one's place.
    server.advance(Duration::from_millis(1));
    let _ = (server.open(LEGACY), server.open(LEGACY));
    assert_eq!((server.dispatcher.sessions(), server.dispatcher.replay_bytes()), (2, 0));
}
