//! Reaching peers: one connection for all, who is there, and what fails how.

use std::net::TcpListener;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::future;
use ringmesh::limits::Limits;
use ringmesh::p2p::address::PeerAddress;
use ringmesh::p2p::identity::Identity;
use ringmesh::p2p::node::{DialError, NodeOptions};
use ringmesh::p2p::outbound::{DialPolicy, DialRefusal, DialTarget};
use ringmesh::p2p::{IDENTIFY_PROTOCOL, MCP_PROTOCOL, PeerId, TASK_QUEUE_PROTOCOL};
use ringmesh::runtime::{sleep, yield_now};

use crate::common::tools;
use crate::support::{as_peer, as_peer_with, eventually, ping_stream, rpc, serve, serve_with, status};

fn address(port: u16, peer_id: PeerId) -> PeerAddress {
    PeerAddress { address: format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap(), peer_id }
}

fn short_dials(limits: Limits) -> NodeOptions {
    NodeOptions { limits: Limits { p2p_dial_timeout_ms: 300, ..limits }, ..NodeOptions::default() }
}

#[test]
fn many_requests_share_one_connection_and_one_dial() {
    let peer = serve();
    let target = peer.address.clone();
    as_peer(move |node, scope| async move {
        let done = Rc::new(std::cell::Cell::new(0));
        for _ in 0..40 {
            let (node, target, done) = (node.clone(), target.clone(), done.clone());
            let ask = async move {
                assert_eq!(status(&node, &target).await.unwrap()["peer_id"], target.peer_id.to_base58());
                done.set(done.get() + 1);
            };
            scope.spawn("ask", ask).unwrap();
        }
        eventually("all answers", || done.get() == 40).await;
        assert_eq!((node.connections(), node.shared().connections()), (1, 1));
        let asked = rpc(&node, &target, serde_json::json!({ "op": "nonsense" })).await.unwrap();
        assert_eq!(asked["error"], "unknown_op");
        assert!(node.ping(&DialTarget::written(target.clone())).await.unwrap().is_some());
        let now = ringmesh::p2p::peers::Moment::now();
        assert!(node.shared().peers().find(&target.peer_id, now).unwrap().round_trip.is_some());
    });
    assert_eq!(peer.accepted(), 1);
    assert_eq!(peer.metric(&format!("ringmesh_p2p_streams_total{{protocol=\"{TASK_QUEUE_PROTOCOL}\"}}")), 41);
    assert_eq!(peer.metric("ringmesh_p2p_operation_duration_seconds_count{operation=\"status\"}"), 40);
    assert_eq!(peer.metric("ringmesh_p2p_operation_errors_total{operation=\"_other\"}"), 1);
    tools::eventually("the connection is gone", || peer.connections() == 0);
}

#[test]
fn both_sides_learn_who_the_other_is() {
    let peer = serve();
    let target = peer.address.clone();
    as_peer(move |node, _| async move {
        let stream = ping_stream(&node, &target).await.unwrap();
        eventually("the peer said who it is", || {
            let now = ringmesh::p2p::peers::Moment::now();
            let found = node.shared().peers().find(&target.peer_id, now).unwrap();
            found.protocols.iter().any(|name| name == MCP_PROTOCOL)
                && found.agent.as_deref().is_some_and(|agent| agent.starts_with("ringmesh/"))
        })
        .await;
        drop(stream);
    });
    // The server asked too, on the same connection.
    let asked = peer.metric(&format!("ringmesh_p2p_streams_total{{protocol=\"{IDENTIFY_PROTOCOL}\"}}"));
    assert_eq!((asked, peer.metric("ringmesh_p2p_peers_known")), (1, 1));
}

#[test]
fn somebody_else_at_the_address_is_refused_and_not_asked_again_at_once() {
    let peer = serve();
    let target = PeerAddress { peer_id: PeerId::random(), ..peer.address.clone() };
    as_peer(move |node, _| async move {
        let error = node.open(&target, &[MCP_PROTOCOL]).await.unwrap_err();
        assert!(matches!(error, DialError::WrongPeer(..)), "{error}");
        assert!(error.to_string().contains("not the right peer"), "{error}");
        let again = node.open(&target, &[MCP_PROTOCOL]).await.unwrap_err();
        assert!(matches!(again, DialError::Recent { .. }), "{again}");
        assert!(again.to_string().contains("not the right peer") && again.to_string().contains("next try"));
        assert_eq!((node.connections(), node.shared().connections()), (0, 0));
        sleep(Duration::from_millis(1_050)).await;
        let later = node.open(&target, &[MCP_PROTOCOL]).await.unwrap_err();
        assert!(matches!(later, DialError::WrongPeer(..)), "{later}");
    });
    peer.still_serves();
}

#[test]
fn each_failure_says_what_it_was() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (silent_port, id) = (silent.local_addr().unwrap().port(), PeerId::random());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed_port = closed.local_addr().unwrap().port();
    drop(closed);
    let identity = Identity::ephemeral();
    let own = identity.peer_id();
    let enemy = PeerId::random();
    let options = NodeOptions { deny: vec![enemy], ..short_dials(Limits::default()) };
    as_peer_with(identity, options, move |node, _| async move {
        let fail = async |target: PeerAddress| node.open(&target, &[MCP_PROTOCOL]).await.unwrap_err();
        let refused = fail(address(closed_port, id)).await;
        assert!(matches!(refused, DialError::Connect(..)), "{refused}");
        let begun = Instant::now();
        let late = fail(address(silent_port, id)).await;
        assert!(matches!(late, DialError::Timeout(..)) && late.to_string().contains("p2p_dial_timeout_ms"));
        assert!(begun.elapsed() < Duration::from_secs(3));
        assert!(matches!(fail(address(silent_port, own)).await, DialError::Own));
        assert!(matches!(fail(address(silent_port, enemy)).await, DialError::Denied(_)));
        let nobody = format!("/dns4/nobody.invalid/tcp/4001/p2p/{id}").parse().unwrap();
        let unknown = fail(nobody).await;
        assert!(
            matches!(unknown, DialError::Refused(_, DialRefusal::Resolve(_)) | DialError::Timeout(..)),
            "{unknown}"
        );
        let sixth = format!("/dns6/localhost/tcp/{closed_port}/p2p/{id}").parse().unwrap();
        assert!(matches!(fail(sixth).await, DialError::Connect(..)));
        assert_eq!(node.shared().connections(), 0);
    });
}

#[test]
fn what_a_stranger_announces_does_not_lead_into_this_machine_unless_there_is_a_connection() {
    let peer = serve();
    let port = peer.socket_addr().port();
    let (id, written) = (peer.address.peer_id, peer.address.clone());
    as_peer(move |node, _| async move {
        let policy = DialPolicy::new(Vec::new(), [], None, false);
        for place in ["/ip4/127.0.0.1", "/dns4/localhost"] {
            let announced = policy.announced(format!("{place}/tcp/{port}/p2p/{id}").parse().unwrap());
            let error = node.open_to(&announced, &[TASK_QUEUE_PROTOCOL]).await.unwrap_err();
            assert!(matches!(error, DialError::Refused(_, DialRefusal::Place { .. })), "{error}");
            assert!(error.to_string().contains("p2p_dial"), "{error}");
        }
        assert_eq!(node.shared().connections(), 0, "nobody was dialled");
        status(&node, &written).await.unwrap();
        let announced = policy.announced(written);
        assert!(node.open_to(&announced, &[TASK_QUEUE_PROTOCOL]).await.is_ok(), "it is connected");
    });
    assert_eq!(peer.accepted(), 1);
}

#[test]
fn a_wrong_address_of_a_peer_holds_nobody_up_who_knows_the_right_one() {
    let peer = serve();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let wrong = address(silent.local_addr().unwrap().port(), peer.address.peer_id);
    let right = peer.address.clone();
    as_peer(move |node, _| async move {
        let waiting = async { Some(node.open(&wrong, &[MCP_PROTOCOL]).await.map(|_| ())) };
        let asking = async {
            yield_now().await;
            let begun = Instant::now();
            status(&node, &right).await.unwrap();
            assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
            None
        };
        assert!(future::or(waiting, asking).await.is_none(), "nobody answers at the wrong address");
    });
}

#[test]
fn a_name_is_looked_up() {
    let peer = serve();
    let port = peer.socket_addr().port();
    let target = format!("/dns4/localhost/tcp/{port}/p2p/{}", peer.address.peer_id).parse().unwrap();
    as_peer(move |node, _| async move {
        assert_eq!(status(&node, &target).await.unwrap()["ok"], true);
    });
}

#[test]
fn a_dial_that_is_given_up_leaves_nothing_and_lets_others_try() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = address(silent.local_addr().unwrap().port(), PeerId::random());
    as_peer(move |node, scope| async move {
        let patience = async {
            sleep(Duration::from_millis(50)).await;
            None
        };
        let dial = async { Some(node.open(&target, &[MCP_PROTOCOL]).await) };
        assert!(future::or(dial, patience).await.is_none());
        yield_now().await;
        assert_eq!((node.shared().connections(), scope.tasks()), (0, 0));
        // Nobody failed, so nothing is held against the peer, and nobody's turn is taken.
        let dial = async { Some(node.open(&target, &[MCP_PROTOCOL]).await) };
        let patience = async {
            sleep(Duration::from_millis(50)).await;
            None
        };
        assert!(future::or(dial, patience).await.is_none());
    });
    assert!(silent.accept().is_ok(), "somebody knocked");
}

#[test]
fn the_pool_keeps_its_bound_by_the_one_unused_for_longest() {
    let peers: Vec<_> = (0..3).map(|_| serve()).collect();
    let targets: Vec<_> = peers.iter().map(|peer| peer.address.clone()).collect();
    let limits = Limits { max_p2p_pool_connections: 2, ..Limits::default() };
    let options = NodeOptions { limits, ..NodeOptions::default() };
    as_peer_with(Identity::ephemeral(), options, move |node, _| async move {
        for target in &targets[..2] {
            status(&node, target).await.unwrap();
        }
        status(&node, &targets[0]).await.unwrap();
        status(&node, &targets[2]).await.unwrap();
        eventually("the second is closed", || node.connections() == 2).await;
        assert!(node.is_connected(&targets[0].peer_id) && !node.is_connected(&targets[1].peer_id));
        let busy =
            (ping_stream(&node, &targets[0]).await.unwrap(), ping_stream(&node, &targets[2]).await.unwrap());
        let error = status(&node, &targets[1]).await.unwrap_err();
        assert!(error.contains("max_p2p_pool_connections"), "{error}");
        drop(busy);
    });
}

#[test]
fn a_connection_that_broke_while_nobody_looked_is_replaced() {
    let peer = serve_with(|config| config.limits.p2p_idle_timeout_ms = 600);
    let target = peer.address.clone();
    as_peer(move |node, _| async move {
        for _ in 0..3 {
            assert_eq!(status(&node, &target).await.unwrap()["ok"], true);
            sleep(Duration::from_millis(1_300)).await;
        }
    });
    assert!(peer.accepted() >= 3);
    assert!(peer.hits("p2p_idle_timeout_ms") >= 2);
}

#[test]
fn heartbeats_go_to_bootstrap_peers_and_make_both_known() {
    let first = serve();
    let bootstrap = first.address.to_string();
    let second = serve_with(|config| {
        config.p2p_bootstrap_peers = vec![bootstrap];
        config.p2p_heartbeat_ms = 100;
    });
    let sent = "ringmesh_p2p_operation_duration_seconds_count{operation=\"heartbeat_sent\"}";
    tools::eventually("heartbeats", || second.metric(sent) >= 3);
    assert!(first.metric("ringmesh_p2p_operation_duration_seconds_count{operation=\"heartbeat\"}") >= 2);
    assert_eq!(second.metric("ringmesh_p2p_operation_errors_total{operation=\"heartbeat_sent\"}"), 0);
    assert_eq!(second.metric("ringmesh_p2p_pool_connections"), 1, "one connection for all of them");
    let target = first.address.clone();
    let answer = as_peer(move |node, _| async move {
        rpc(&node, &target, serde_json::json!({ "op": "status", "detail": true })).await
    });
    let known = answer.unwrap()["scheduler"]["known_peers"].to_string();
    assert!(known.contains(&second.address.peer_id.to_base58()), "{known}");
}

#[test]
fn a_bootstrap_peer_that_is_gone_is_counted_and_said_once() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = address(gone.local_addr().unwrap().port(), PeerId::random());
    drop(gone);
    let peer = serve_with(|config| {
        config.p2p_bootstrap_peers = vec![target.to_string()];
        config.p2p_heartbeat_ms = 100;
    });
    let failed = "ringmesh_p2p_operation_errors_total{operation=\"heartbeat_sent\"}";
    tools::eventually("two failures", || peer.metric(failed) >= 2);
    assert!(peer.metric("ringmesh_p2p_dials_failed_total{reason=\"connect\"}") >= 1);
    std::thread::sleep(Duration::from_millis(1_000));
    assert!(peer.metric(failed) <= 7, "it is asked less and less often");
    peer.still_serves();
}
