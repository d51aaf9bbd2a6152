//! What an executor leaves of its descriptors: an eventfd of the reactor's own (glommio 0.9), and nothing of ours. Alone in
//! its process, since the process is counted.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use futures_lite::future;
use ringmesh::runtime::{ExecutorSettings, Listener, sleep, spawn_executor, warm_up};

const EXECUTORS: usize = 100;

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn life() {
    warm_up().await;
    let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 16).unwrap();
    let _client = TcpStream::connect(listener.local_addr()).unwrap();
    let mut stream = listener.accept().await.unwrap();
    assert!(future::poll_once(stream.read()).await.is_none());
    sleep(Duration::from_millis(1)).await;
}

#[test]
fn executors_that_have_ended_leave_nothing_of_ours_open() {
    let run = || spawn_executor(None, "short", &ExecutorSettings::default(), life).unwrap().join().unwrap();
    run();
    let before = open_descriptors();
    (0..EXECUTORS).for_each(|_| run());
    // The kernel may still be at the last ones.
    let after = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        Some(open_descriptors()).filter(|after| *after < before + EXECUTORS + EXECUTORS / 2)
    });
    assert!(after.is_some(), "{before} descriptors before, {} after", open_descriptors());
}
