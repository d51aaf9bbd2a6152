//! The end: what was asked is answered, peers are told, and nothing is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringmesh::Ended;
use ringmesh::runtime::sleep;
use serde_json::json;

use crate::common::{PATIENCE, tools};
use crate::support::{as_peer, ping_stream, rpc, serve_with, status};

#[test]
fn under_load_no_request_from_before_the_end_is_lost() {
    let peer = serve_with(|config| config.p2p_call_tool = true);
    let (stopping, stopped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let answered = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let (target, stopping) = (peer.address.clone(), stopping.clone());
            let (answered, stopped) = (answered.clone(), stopped.clone());
            std::thread::spawn(move || {
                as_peer(move |node, scope| async move {
                    let lost = std::rc::Rc::new(std::cell::Cell::new(0_u32));
                    let running = std::rc::Rc::new(std::cell::Cell::new(8_u32));
                    for _ in 0..8 {
                        let (node, target, stopping) = (node.clone(), target.clone(), stopping.clone());
                        let (answered, stopped) = (answered.clone(), stopped.clone());
                        let (lost, running) = (lost.clone(), running.clone());
                        let work = async move {
                            while !stopped.load(Ordering::SeqCst) {
                                let before_the_end = !stopping.load(Ordering::SeqCst);
                                let request =
                                    json!({ "op": "call_tool", "tool": "linger", "args": { "ms": 5 } });
                                match rpc(&node, &target, request).await {
                                    Ok(answer) => {
                                        assert_eq!(answer["ok"], true, "{answer}");
                                        answered.fetch_add(1, Ordering::SeqCst);
                                    }
                                    Err(error) if before_the_end => {
                                        eprintln!("lost: {error}");
                                        lost.set(lost.get() + 1);
                                    }
                                    Err(_) => sleep(Duration::from_millis(5)).await,
                                }
                            }
                            running.set(running.get() - 1);
                        };
                        scope.spawn("client", work).unwrap();
                    }
                    crate::support::eventually("the clients end", || running.get() == 0).await;
                    lost.get()
                })
            })
        })
        .collect();
    tools::eventually("load", || answered.load(Ordering::SeqCst) > 300);
    stopping.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    assert_eq!(peer.server.stop().unwrap(), Ended::Stopped);
    let took = begun.elapsed();
    stopped.store(true, Ordering::SeqCst);
    let lost: u32 = clients.into_iter().map(|client| client.join().unwrap()).sum();
    assert_eq!(lost, 0);
    assert!(took < Duration::from_secs(2), "{took:?}: shorter than the grace");
}

#[test]
fn a_call_in_progress_is_answered_and_quiet_peers_hold_nobody_up() {
    let peer = serve_with(|config| {
        config.p2p_call_tool = true;
        config.shutdown_grace_ms = 8_000;
    });
    let target = peer.address.clone();
    let (asked, ask) = (Arc::new(AtomicBool::new(false)), peer.address.clone());
    let client = std::thread::spawn({
        let asked = asked.clone();
        move || {
            as_peer(move |node, _| async move {
                status(&node, &ask).await.unwrap();
                asked.store(true, Ordering::SeqCst);
                let begun = Instant::now();
                let request = json!({ "op": "call_tool", "tool": "linger", "args": { "ms": 900 } });
                (rpc(&node, &ask, request).await, begun.elapsed())
            })
        }
    });
    let idle = std::thread::spawn(move || {
        as_peer(move |node, _| async move {
            let _stream = ping_stream(&node, &target).await.unwrap();
            crate::support::eventually("the server closes", || node.connections() == 0).await;
        });
    });
    tools::eventually("the call is asked for", || asked.load(Ordering::SeqCst));
    tools::eventually("both are there", || peer.connections() == 2);
    std::thread::sleep(Duration::from_millis(200));
    let begun = Instant::now();
    assert_eq!(peer.server.stop().unwrap(), Ended::Stopped);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let (answer, took) = client.join().unwrap();
    assert_eq!(answer.unwrap()["ok"], true);
    assert!(took >= Duration::from_millis(850) && took < PATIENCE);
    idle.join().unwrap();
}

#[test]
fn a_server_without_peers_ends_at_once() {
    let peer = serve_with(|_| {});
    let begun = Instant::now();
    assert_eq!(peer.server.stop().unwrap(), Ended::Stopped);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
