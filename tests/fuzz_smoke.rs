//! The fuzz targets for a moment: seeded mutations of a small corpus, the same in every run.

use ringmesh::fuzzing::{self, Rng};

const HEADS: &[&[u8]] = &[
    b"POST /mcp HTTP/1.1\r\nHost: localhost:8000\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /x?y HTTP/1.0\r\n\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nOrigin: http://localhost\r\nAccept: a/b\r\nAccept: c/d\r\n\r\n",
    b"PUT /?q HTTP/1.1\r\nHost: a\r\nAccept: a\r\nAccept: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc!\n0\r\n\r\n",
    b"GET http://a/b HTTP/1.1\r\nHost: a:80\r\nMcp-Name: x\r\nMcp-Name: y\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
];
const CHUNKS: &[&[u8]] = &[
    b"5\r\nhello\r\n0\r\n\r\n",
    b"1;a=b\r\nx\r\n00a;\"q\"\r\n0123456789\r\n0\r\nDigest: z\r\nX-Y: \r\n\r\nGET / HTTP/1.1\r\n",
    b"7ff\r\n",
    b"0\r\n\r\n",
];
const ENVELOPES: &[&[u8]] = &[
    br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hi"}}}"#,
    br#"[{"jsonrpc":"2.0","method":"notifications/initialized"}]"#,
    br#"{"jsonrpc":"2.0","id":"a","result":{"_meta":{"x":[[[[[]]]]]}}}"#,
    br#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"message":"\u00e9"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"progressToken":7}}}"#,
    br#"{"jsonrpc":"2.0","id":3,"method":"resources/read","params":{"uri":"db://a/%2e%2e/c/d","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
    br#"{"jsonrpc":"2.0","id":4,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"who","value":"w"},"context":{"arguments":{"how":"x"}},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
    br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"f","version":"0"}}}"#,
    br#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"ask","arguments":{"words":[]},"inputResponses":{"b":{"action":"accept"}},"requestState":"AAAA","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{"url":{}}}}}}"#,
    br#"{"jsonrpc":"2.0","id":1,"result":{"action":"accept","content":{"name":"x"}}}"#,
];
const ANSWERS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nuntil the end",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 1, 1\r\n\r\n",
];
const EVENTS: &[&[u8]] = &[
    b"id: 1\nevent: message\nretry: 10\ndata: {}\ndata: {}\n\n: comment\n\ndata\n\n",
    b"\xef\xbb\xbfdata:a\n\nid\n\nid: a\0b\nunknown: x\ndata: b\n\n",
    b"data: a\r\n\r\ndata: b\r\rdata: c\n\r\n",
];
const REPLIES: &[&[u8]] = &[
    br#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"a"},{"type":"image","data":"","mimeType":"x"}],"isError":true}}"#,
    br#"{"jsonrpc":"2.0","id":1,"result":{"name":"t","inputSchema":{"$ref":"x"},"annotations":{"idempotentHint":true},"icons":[{}]}}"#,
    br#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","requestState":"s","inputRequests":{"k":{"method":"roots/list"}}}}"#,
    br#"{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28","2025-11-25"],"capabilities":{},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"a"}}}}"#,
    br#"{"jsonrpc":"2.0","error":{"code":-32022,"message":"no","data":{"supported":["2025-11-25"],"retryable":true,"retryAfterMs":7}}}"#,
    br#"{"jsonrpc":"2.0","id":1,"result":{"contents":[{"uri":"a:b","blob":"AA=="}],"messages":[{"role":"user","content":{"type":"audio"}}]}}"#,
    br#"[{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1e3}},{"jsonrpc":"2.0","id":"q","method":"ping"}]"#,
];
const FRAMES: &[&[u8]] =
    &[b"\0\0\0\x02{}\0\0\0\x01x", b"\0\0\x04\x01", b"\0\0\0\0", b"\0\0\x01\0{\"jsonrpc\":\"2.0\""];
const PEER_MESSAGES: &[&[u8]] = &[
    b"{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"initialize\"}\n{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"tools.call\",\"params\":{\"name\":\"task_queue.rpc\",\"arguments\":{\"m\":{\"op\":\"status\"}}}}",
    b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-03-26\",\"_meta\":{\"ringmesh/token\":\"t\"}}}\n[{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"say\",\"arguments\":{\"words\":[\"a\"]}}}]\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
    b"{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"server/discover\",\"params\":{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{}}}}\n{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"a\"}}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\"}}",
];
/// What peers send to a client that has asked for 1, "a" and 2.
const CLIENT_MESSAGES: &[&[u8]] = &[
    b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,\"progress\":1}}\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":{\"ok\":false,\"error\":\"x\"}}}",
    b"{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"roots/list\"}\n{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"q\"}}\n{\"id\":\"\\u0061\",\"result\":{\"protocolVersion\":\"2024-11-05\",\"limits\":{\"max_frame_bytes\":4096}}}",
    b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\",\"params\":{\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":2}}}\n{\"id\":null,\"error\":{\"code\":-32003,\"message\":\"bad frame\"}}",
];
/// Messages of two makers, without their length in front.
const IDENTIFY: &[&[u8]] = &[
    b"\x0a\x24\x08\x01\x12\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x12\x08\x04\x7f\0\0\x01\x06L\xfe\x1a\x10/ipfs/ping/1.0.0\"\x08\x04\x7f\0\0\x01\x06\xe1^*\nipfs/0.1.02\x0fpy-libp2p/0.8.1B\x03\x01\x02\x03",
    b"\x12\x0b6\x05a.org\x06\x0f\xa1\xcc\x03\x12\x14)aaaaaaaaaaaaaaaa\x06\0\x011\x1a\x02/a\x1a\x02/bP\x01Y12345678\x9a\x01\x01x",
];
const MULTIADDRS: &[&[u8]] = &[
    b"/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",
    b"/ip6/::1/tcp/0",
    b"/dns4/a.example.org/tcp/443/p2p/bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe",
    b"bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe",
    b"QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
    b"/ip4/1.2.3.4/udp/1/quic-v1/webtransport/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ/p2p-circuit",
    b"/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234/memory/1/http-path/a%2fb/garlic32/566niximlxdzpanmn4qouucvua3k7neniwss47li5r6ugoertzuq",
];
const REQUESTS: &[&[u8]] = &[
    b"{\"op\":\"status\",\"detail\":true}\n",
    b" {\"op\":\" PEER.heartbeat \",\"peer\":\"a\",\"clock\":{\"node_id\":\"n\",\"vector\":{\"n\":3,\"\\u00e9\":\"7\",\"x\":2.5}}}\r\n",
    b"{\"op\":\"call_tool\",\"tool\":\"t\",\"args\":[1e999],\"timeout_s\":\"0.5\"}\n",
    b"{\"op\":\"claim\",\"worker_id\":7,\"task_types\":\"a, b\",\"peer_id\":\"p\",\"clock\":null}\n",
    b"{\"op\":\"wait\",\"task_id\":\"x\",\"timeout_s\":-1,\"timeout_s\":[[[]]]}\n",
    b"{\"\\u006fp\":\"cache.set\",\"key\":\" \\ud83d\\ude00 \",\"value\":{\"a\":null}}\n",
];
/// A beat, and a page of workflow tasks.
const WORKFLOW_PAGES: &[&[u8]] = &[
    br#"{"clock":{"node_id":"12D3KooWpeer","vector":{"12D3KooWpeer":3}},"feed":"f","through":9}
{"feed":"f","after":0,"through":9,"more":false,"tasks":[{"task":{"submitted_ms":1,"submitter":"12D3KooWpeer","clock_root":"r","members":["12D3KooWpeer","12D3KooWnode"],"task_id":"a","workflow_id":"w","name":"n","tags":["p2p-only"],"priority":5},"state":{"mark":{"token":{"counter":1,"peer_id":"12D3KooWpeer"},"assigned":true},"completion":null}}]}"#,
    br#"{"clock":{"node_id":"x","vector":{"x":1}},"feed":"","through":0}
{"ok":true,"feed":"g","after":2,"through":4,"more":true,"tasks":[{"task":{"submitted_ms":1,"submitter":"s","clock_root":"r","members":["s"],"task_id":"b","workflow_id":"","name":"","tags":[],"priority":10},"state":{"mark":null,"completion":{"token":{"counter":2,"peer_id":"s"},"at_ms":1799999999999}}},7]}"#,
];
/// Pieces that mean something to the parsers.
const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b" ",
    b":",
    b"\0",
    b"0\r\n",
    b"fff",
    b"Host: a\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"HTTP/1.0",
    b"{",
    b"]",
    b"\"",
    b"\xff",
    b"\\u0000",
    b"1e999",
    b";",
    b"\n\n",
    b"data: ",
    b"\nid: ",
    b"HTTP/1.1 100 x\r\n\r\n",
    b"/p2p/",
    b"/tcp/1",
    b"/dns/",
    b"/ip6/",
    b"\x80\x80",
    b"\x12\x08\x04\x7f\0\0\x01\x06L\xfe",
];

/// One input: a few edits of a corpus entry, or two of them joined.
fn mutate(corpus: &[&[u8]], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = corpus[rng.below(corpus.len())].to_vec();
    if rng.below(4) == 0 {
        bytes.extend_from_slice(corpus[rng.below(corpus.len())]);
    }
    for _ in 0..rng.below(5) {
        let at = rng.below(bytes.len() + 1);
        match rng.below(5) {
            0 => bytes.truncate(at.max(1)),
            1 if at < bytes.len() => bytes[at] = rng.below(256) as u8,
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => drop(bytes.splice(at..at, vec![b'a' + rng.below(26) as u8; rng.below(1200)])),
            _ => drop(bytes.splice(at..at, TOKENS[rng.below(TOKENS.len())].iter().copied())),
        }
    }
    bytes
}

fn run(corpus: &[&[u8]], iterations: u64, target: fn(&[u8])) {
    corpus.iter().for_each(|entry| target(entry));
    for seed in 0..iterations {
        target(&mutate(corpus, &mut Rng::new(seed)));
    }
}

#[test]
fn request_heads() {
    run(HEADS, 1_500, fuzzing::request_head);
}

#[test]
fn chunked_bodies() {
    run(CHUNKS, 1_500, fuzzing::chunked_body);
}

#[test]
fn json_rpc_envelopes() {
    run(ENVELOPES, 10_000, fuzzing::json_rpc_envelope);
}

#[test]
fn client_answers() {
    run(REPLIES, 10_000, fuzzing::client_answer);
}

#[test]
fn http_answers() {
    run(ANSWERS, 3_000, fuzzing::http_answer);
}

#[test]
fn event_streams() {
    run(EVENTS, 3_000, fuzzing::event_stream);
}

#[test]
fn peer_frames() {
    run(FRAMES, 3_000, fuzzing::peer_frames);
}

#[test]
fn peer_messages() {
    run(PEER_MESSAGES, 10_000, fuzzing::peer_messages);
}

#[test]
fn client_peer_messages() {
    run(CLIENT_MESSAGES, 10_000, fuzzing::client_peer_messages);
}

#[test]
fn identify_messages() {
    run(IDENTIFY, 10_000, fuzzing::identify_message);
}

#[test]
fn multiaddr_texts() {
    run(MULTIADDRS, 10_000, fuzzing::multiaddr_text);
}

#[test]
fn task_queue_requests() {
    run(REQUESTS, 10_000, fuzzing::task_queue_request);
}

#[test]
fn workflow_pages() {
    run(WORKFLOW_PAGES, 10_000, fuzzing::workflow_page);
}
