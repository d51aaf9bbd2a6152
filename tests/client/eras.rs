//! Finding out what a server speaks.

use std::cell::Cell;

use ringmesh::client::{Client, ClientError, Revision, Root, TransportError};
use serde_json::{Value, json};

use super::script::{Answer, Script, Step, discovered, initialized};
use super::{connect, options, run};

const META: &str = "io.modelcontextprotocol";

#[test]
fn every_request_of_the_new_era_carries_its_version_and_capabilities() {
    run(|scope| async move {
        let script = Script::modern(|seen| seen.result(json!({ "resultType": "complete", "contents": [] })));
        let roots = options().on_roots(|| async { Ok(Vec::<Root>::new()) });
        let client = connect(&scope, &script, roots).await;
        assert_eq!((client.revision(), &*client.server().name), (Revision::V2026_07_28, "script"));
        client.read_resource("test://ü").await.unwrap();
        for seen in script.seen.borrow().iter() {
            let meta = &seen.body["params"]["_meta"];
            assert_eq!(meta[format!("{META}/protocolVersion")], "2026-07-28");
            assert_eq!(meta[format!("{META}/clientCapabilities")], json!({ "roots": {} }));
            assert_eq!(meta[format!("{META}/clientInfo")], json!({ "name": "test", "version": "1.0.0" }));
            let head = &seen.outgoing.head;
            assert_eq!(head.protocol_version.as_deref(), Some("2026-07-28"));
            assert_eq!(head.method.as_deref(), Some(seen.method()));
            assert_eq!(head.session_id, None);
        }
        let read = &script.sent("resources/read")[0].outgoing.head;
        assert_eq!(read.name.as_deref(), Some("=?base64?dGVzdDovL8O8?="));
        client.close().await.unwrap();
        assert!(script.closed.get() && script.count("DELETE") == 0);
    });
}

#[test]
fn an_older_server_is_asked_for_a_session() {
    let refusals: [fn(&super::script::Seen) -> Answer; 7] = [
        |_| Answer::status(404),
        |_| Answer::text(405, "Method Not Allowed"),
        |seen| seen.error(200, -32601, Value::Null),
        |seen| seen.error(400, -32000, Value::Null),
        |seen| seen.error(400, -32602, Value::Null),
        |_| Answer::text(200, "not even JSON"),
        |seen| seen.result(json!({})),
    ];
    for refusal in refusals {
        run(move |scope| async move {
            let script = Script::new(move |seen| match seen.method() {
                "server/discover" => refusal(seen),
                "initialize" => seen.result(initialized("2025-06-18")).in_session("abc"),
                "notifications/initialized" => Answer::status(202),
                "DELETE" => Answer::status(204),
                _ => seen.result(json!({})),
            });
            let client = connect(&scope, &script, options()).await;
            assert_eq!(client.revision(), Revision::V2025_06_18);
            client.ping().await.unwrap();
            client.close().await.unwrap();
            let asked = &script.sent("initialize")[0];
            assert_eq!(asked.body["params"]["protocolVersion"], "2025-11-25");
            assert_eq!(
                (asked.outgoing.head.protocol_version.as_ref(), asked.outgoing.head.session_id.as_ref()),
                (None, None)
            );
            for later in ["notifications/initialized", "ping", "DELETE"] {
                let head = &script.sent(later)[0].outgoing.head;
                assert_eq!(head.protocol_version.as_deref(), Some("2025-06-18"), "{later}");
                assert_eq!(head.session_id.as_deref(), Some("abc"), "{later}");
                assert_eq!((head.method.as_ref(), head.name.as_ref()), (None, None), "words of the new era");
            }
        });
    }
}

#[test]
fn revisions_without_the_version_header_are_spoken_without_it() {
    for revision in ["2024-11-05", "2025-03-26"] {
        run(move |scope| async move {
            let script = Script::new(move |seen| match seen.method() {
                "initialize" => seen.result(initialized(revision)),
                "notifications/initialized" => Answer::status(202),
                "ping" => seen.result(json!({})),
                other => panic!("{other} was not asked for"),
            });
            let mut options = options();
            options.revision = Revision::parse(revision);
            let client = connect(&scope, &script, options).await;
            client.ping().await.unwrap();
            assert_eq!(script.methods(), ["initialize", "notifications/initialized", "ping"]);
            assert!(script.seen.borrow().iter().all(|seen| seen.outgoing.head.protocol_version.is_none()));
        });
    }
}

#[test]
fn the_servers_list_of_revisions_is_followed() {
    run(|scope| async move {
        let rejected = Cell::new(false);
        let script = Script::new(move |seen| match (seen.method(), rejected.replace(true)) {
            ("server/discover", false) => seen.error(400, -32022, json!({ "supported": ["2026-07-28"] })),
            _ => seen.result(discovered()),
        });
        let client = connect(&scope, &script, options()).await;
        assert_eq!((client.revision(), script.count("server/discover")), (Revision::V2026_07_28, 2));
    });
    run(|scope| async move {
        let script = Script::new(|seen| match seen.method() {
            "server/discover" => {
                seen.error(400, -32022, json!({ "supported": ["2031-01-01", "2025-06-18"] }))
            }
            "initialize" => seen.result(initialized("2025-06-18")),
            _ => Answer::status(202),
        });
        let client = connect(&scope, &script, options()).await;
        assert_eq!(client.revision(), Revision::V2025_06_18);
        assert_eq!(script.sent("initialize")[0].body["params"]["protocolVersion"], "2025-06-18");
    });
    run(|scope| async move {
        let script = Script::new(|seen| seen.error(400, -32022, json!({ "supported": ["2031-01-01"] })));
        let error = Client::connect_over(&scope, script.clone(), options()).await.unwrap_err();
        assert!(matches!(&error, ClientError::NoCommonRevision { server, .. } if server == &["2031-01-01"]));
        assert!(error.to_string().contains("2031-01-01") && script.count("initialize") == 0);
    });
}

#[test]
fn an_initialize_that_is_refused_for_its_revision_is_made_with_a_named_one() {
    run(|scope| async move {
        let script = Script::new(|seen| match seen.method() {
            "initialize" if seen.body["params"]["protocolVersion"] == "2025-11-25" => {
                seen.error(200, -32602, json!({ "supported": ["2024-11-05"], "requested": "2025-11-25" }))
            }
            "initialize" => seen.result(initialized("2024-11-05")),
            "server/discover" => Answer::status(404),
            _ => Answer::status(202),
        });
        assert_eq!(connect(&scope, &script, options()).await.revision(), Revision::V2024_11_05);
    });
}

#[test]
fn what_does_not_agree_is_refused() {
    for (answered, forced) in
        [("2026-07-28", None), ("1999-01-01", None), ("2025-06-18", Some(Revision::V2025_11_25))]
    {
        run(move |scope| async move {
            let script = Script::new(move |seen| match seen.method() {
                "initialize" => seen.result(initialized(answered)),
                _ => Answer::status(404),
            });
            let mut options = options();
            options.revision = forced;
            let error = Client::connect_over(&scope, script.clone(), options).await.unwrap_err();
            assert!(matches!(error, ClientError::NoCommonRevision { .. }), "{answered}: {error}");
            assert_eq!(script.count("notifications/initialized"), 0);
        });
    }
    run(|scope| async move {
        let script = Script::new(|_| Answer::status(404));
        let mut options = options();
        options.revision = Some(Revision::V2026_07_28);
        let error = Client::connect_over(&scope, script.clone(), options).await.unwrap_err();
        assert!(matches!(error, ClientError::Http { status: 404, .. }), "{error}");
        assert_eq!(script.methods(), ["server/discover"]);
    });
}

#[test]
fn who_may_not_ask_is_told_so_and_does_not_fall_back() {
    run(|scope| async move {
        let script = Script::new(|_| Answer::status(401));
        let error = Client::connect_over(&scope, script.clone(), options()).await.unwrap_err();
        assert!(matches!(error, ClientError::Http { status: 401, .. }), "{error}");
        assert_eq!(script.count("initialize"), 0);
    });
    run(|scope| async move {
        let script = Script::new(|_| Answer::Fail(TransportError::Tls("unknown issuer".into())));
        let error = Client::connect_over(&scope, script.clone(), options()).await.unwrap_err();
        assert!(error.to_string().contains("unknown issuer") && script.methods().len() == 1);
    });
}

#[test]
fn the_transport_of_2024_is_named_as_what_is_missing() {
    run(|scope| async move {
        let endpoint = ringmesh::client::Event {
            name: Some("endpoint".into()),
            data: b"/messages?id=1".to_vec(),
            ..Default::default()
        };
        let script = Script::new(move |seen| match seen.method() {
            "GET" => Answer::Events(vec![Step::Event(endpoint.clone()), Step::Hang]),
            _ => Answer::status(405),
        });
        let error = Client::connect_over(&scope, script.clone(), options()).await.unwrap_err();
        assert!(error.to_string().contains("HTTP+SSE"), "{error}");
        assert_eq!(script.open.get(), 0);
    });
}

#[test]
fn a_bare_stream_without_headers_falls_back_on_silence() {
    run(|scope| async move {
        let script = Script::new(|seen| match seen.method() {
            "server/discover" => Answer::Hang,
            "initialize" => seen.result(initialized("2025-11-25")),
            _ => Answer::status(200),
        });
        script.has_headers.set(false);
        let mut options = options();
        options.request_timeout = std::time::Duration::from_millis(50);
        assert_eq!(connect(&scope, &script, options).await.revision(), Revision::V2025_11_25);
    });
}

#[test]
fn session_ids_that_could_break_a_header_are_refused() {
    for id in ["", "a b", "a\r\nX: y", "ü"] {
        run(move |scope| async move {
            let script = Script::new(move |seen| match seen.method() {
                "initialize" => seen.result(initialized("2025-11-25")).in_session(id),
                _ => Answer::status(404),
            });
            let error = Client::connect_over(&scope, script.clone(), options()).await.unwrap_err();
            assert!(error.to_string().contains("Mcp-Session-Id"), "{error}");
        });
    }
}
