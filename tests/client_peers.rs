//! The client over real libp2p connections on the loopback interface: who it speaks to, and what a thief gets.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests say what they expect by unwrapping it, and this file is the whole crate"
)]

#[path = "common/peer.rs"]
mod peer;
mod runtime_support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_lite::future::zip;
use peer::TestPeer;
use ringmesh::client::p2p::P2pOptions;
use ringmesh::client::{Client, ClientError, ClientOptions, RetryPolicy, TransportError};
use ringmesh::config::Secret;
use ringmesh::p2p::Keypair;
use ringmesh::p2p::identity::Identity;
use ringmesh::p2p::outbound::DialPolicy;
use ringmesh::p2p::rpc_client::{self, RpcError, RpcOptions};
use ringmesh::runtime::{Scope, ScopeOptions, sleep};
use serde_json::json;

const TOKEN: &str = "s3cret-of-the-mesh";

fn options() -> ClientOptions {
    let mut options = ClientOptions::new("test", "1.0.0");
    options.retries = RetryPolicy::none();
    options.p2p = P2pOptions { token: Some(Secret(TOKEN.into())), ..P2pOptions::default() };
    options
}

/// Runs a test in a scope that must end by itself.
fn run<Fut>(test: impl FnOnce(Scope) -> Fut + Send + 'static)
where
    Fut: Future<Output = ()> + 'static,
{
    runtime_support::on_executor(move || async move {
        let body = |scope| async move {
            test(scope).await;
            Ok::<(), ClientError>(())
        };
        Scope::run(ScopeOptions::named("test"), body).await.unwrap();
    });
}

#[test]
fn a_peer_is_dialled_proved_and_asked() {
    let peer = TestPeer::echo();
    let target = peer.target();
    let identity = Identity::ephemeral();
    let id = identity.peer_id();
    run(move |scope| async move {
        let mut options = options();
        options.p2p.identity = Some(identity);
        let client = Client::connect(&scope, &target, options).await.unwrap();
        assert_eq!((client.target(), client.server().name.as_str()), (&*target, "peer"));
        let call = |text: &'static str| client.call_tool("echo", json!({ "message": text }));
        let (one, two) = zip(call("one"), call("two")).await;
        assert_eq!([one, two].map(|it| it.unwrap().text()), ["one", "two"]);
        let large = "x".repeat(1 << 20);
        let echoed = client.call_tool("echo", json!({ "message": large })).await.unwrap();
        assert_eq!(echoed.text().len(), large.len());
        client.close().await.unwrap();
    });
    assert_eq!(*peer.seen.dialers.lock().unwrap(), [id], "the client proved who it is, once");
    assert_eq!(peer.seen.connections.load(Ordering::Relaxed), 1);
    let calls = peer.messages();
    assert!(calls.iter().all(|message| message["params"]["_meta"]["ringmesh/token"] == TOKEN), "{calls:?}");
}

#[test]
fn a_dropped_client_leaves_nothing_open() {
    let peer = TestPeer::echo();
    let target = peer.target();
    run(move |scope| async move {
        let client = Client::connect(&scope, &target, options()).await.unwrap();
        client.call_tool("echo", json!({ "message": "x" })).await.unwrap();
        drop(client);
        scope.wait_idle().await;
    });
}

#[test]
fn a_thief_at_the_address_of_a_peer_gets_no_byte_of_the_token() {
    let thief = TestPeer::echo();
    let expected = Keypair::generate_ed25519().public().to_peer_id();
    let target = thief.target_of(&expected.to_base58());
    let found = thief.identity.base58().to_owned();
    run(move |scope| async move {
        let error = Client::connect(&scope, &target, options()).await.unwrap_err();
        let ClientError::Transport { error: TransportError::Tls(why), .. } = &error else {
            panic!("{error}")
        };
        assert!(why.contains(&found) && why.contains(&expected.to_base58()), "{why}");
    });
    assert!(thief.seen.connections.load(Ordering::Relaxed) > 0, "it was dialled");
    assert_eq!(thief.seen.streams.load(Ordering::Relaxed), 0, "and nothing was opened");
    assert!(thief.messages().is_empty());
}

#[test]
fn a_stranger_that_has_itself_dialled_gets_no_token_even_where_anybody_is_dialled() {
    let (stranger, named) = (TestPeer::echo(), TestPeer::echo());
    let known = named.target().parse().unwrap();
    let policy = DialPolicy::new(vec![known], [], Some(TOKEN), true);
    let target = policy.judge(&stranger.target(), |_| false).unwrap();
    let proved = target.address().peer_id;
    let token_for = |peer: &_| policy.token_for(peer).map(|token| Secret(token.into()));
    let none = token_for(&proved);
    let address = target.address().to_string();
    let named_target = named.target();
    let token = token_for(&named.identity.peer_id());
    run(move |scope| async move {
        for (target, token) in [(&address, none), (&named_target, token)] {
            let mut options = options();
            options.p2p.token = token;
            let client = Client::connect(&scope, target, options).await.unwrap();
            client.list_tools().await.unwrap();
            client.close().await.unwrap();
        }
    });
    let heard = |peer: &TestPeer| format!("{:?}", peer.messages());
    assert!(!stranger.messages().is_empty() && !heard(&stranger).contains(TOKEN));
    assert!(heard(&named).contains(TOKEN));
}

#[test]
fn what_is_in_the_way_is_said() {
    let other = TestPeer::start("/other/1.0.0", Box::new(|_| vec![]));
    let target = other.target();
    let unused = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let web = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let web_port = web.local_addr().unwrap().port();
    let web = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = web.accept().unwrap();
        let _ = stream.read(&mut [0; 64]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let id = other.identity.base58().to_owned();
    run(move |scope| async move {
        let connect = async |target: &str| match Client::connect(&scope, target, options()).await {
            Err(ClientError::Transport { error, .. }) => error,
            other => panic!("{:?}", other.map(drop)),
        };
        let error = connect(&target).await;
        assert!(
            matches!(&error, TransportError::Unsupported(why) if why.contains("/mcp+p2p/1.0.0")),
            "{error}"
        );
        let error = connect(&format!("/ip4/127.0.0.1/tcp/{unused}/p2p/{id}")).await;
        assert!(matches!(&error, TransportError::Connect(_)), "{error}");
        let error = connect(&format!("/ip4/127.0.0.1/tcp/{web_port}/p2p/{id}")).await;
        assert!(matches!(&error, TransportError::Tls(_)), "{error}");
        let error = connect(&format!("/dns4/no-such-host.invalid/tcp/1/p2p/{id}")).await;
        assert!(matches!(&error, TransportError::Resolve(_)), "{error}");
        let nameless = Client::connect(&scope, "/ip4/127.0.0.1/tcp/1", options()).await.unwrap_err();
        assert!(matches!(&nameless, ClientError::Options(why) if why.contains("/p2p/ID")), "{nameless}");
    });
    web.join().unwrap();
}

#[test]
fn a_peer_that_never_finishes_the_handshake_is_given_up() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let id = Identity::ephemeral();
    run(move |scope| async move {
        let mut options = options();
        // What remains of it for the error to arrive is a tenth, which a busy machine may need.
        options.p2p.open_timeout = Duration::from_secs(4);
        let target = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", id.base58());
        let error = Client::connect(&scope, &target, options).await.unwrap_err();
        assert!(error.to_string().contains("no answer within 3600 ms"), "{error}");
    });
    drop(silent);
}

#[test]
fn a_task_queue_request_is_bounded_in_time() {
    run(|_| async {
        let request = json!({ "op": "status" });
        let request = request.as_object().unwrap();
        let options = RpcOptions { timeout: Duration::from_millis(30), ..RpcOptions::default() };
        let never = async {
            sleep(Duration::from_secs(60)).await;
            Err::<ringmesh::runtime::AsyncStream, String>(String::new())
        };
        let error = rpc_client::call(never, request, options).await.unwrap_err();
        assert_eq!(error, RpcError::TimedOut(options.timeout));
        let refused = async { Err::<ringmesh::runtime::AsyncStream, _>("nobody is there") };
        let error = rpc_client::call(refused, request, options).await.unwrap_err();
        assert_eq!(error.to_string(), "nobody is there");
    });
}
