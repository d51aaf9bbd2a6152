//! What all revisions with sessions share, and which header they need.

use ringmesh::mcp::{Context, Registry, Revision};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::support::{Headers, REVISIONS, Server};

#[derive(Deserialize, JsonSchema)]
struct NoArgs {}

fn server() -> Server {
    let hi = |_: NoArgs, _: Context| async { Ok("hi") };
    Server::new(Registry::new().tool("hi", "Greets", hi))
}

#[test]
fn the_table_names_all_five() {
    let names: Vec<_> = Revision::ALL.iter().map(|revision| revision.as_str()).collect();
    assert_eq!(names, REVISIONS);
    let with_batches = Revision::ALL.iter().filter(|revision| revision.has_batches());
    assert_eq!(with_batches.collect::<Vec<_>>(), [&Revision::V2025_03_26]);
}

#[test]
fn every_older_revision_is_served_with_and_without_its_header() {
    let server = server();
    for version in &REVISIONS[1..] {
        let session = server.open(version);
        assert_eq!(session.version.as_deref(), Some(*version));
        // Clients of 2025-03-26 and 2024-11-05 do not know the header; the session knows its revision.
        let silent = Headers { version: None, ..session.clone() };
        for headers in [&session, &silent] {
            let got = server.legacy(headers, "tools/call", json!({"name": "hi"}));
            assert_eq!(got.content(), "hi", "{version}");
            assert!(got.result().get("resultType").is_none(), "{version}");
            assert_eq!(*server.legacy(headers, "ping", json!({})).result(), json!({}));
        }
        for other in &REVISIONS[1..] {
            let headers = Headers { version: Some((*other).into()), ..session.clone() };
            let status = server.legacy(&headers, "ping", json!({})).status;
            assert_eq!(status, if other == version { 200 } else { 400 }, "{other} in a session of {version}");
        }
        assert_eq!(server.delete(&silent).status, 204);
    }
}
