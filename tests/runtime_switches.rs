//! What one request costs in thread switches: an echo between two executors, measured, not judged.
//!
//! `cargo test --release --test runtime_switches -- --ignored --nocapture`, with `RINGMESH_CONNECTIONS` (64) and
//! `RINGMESH_SECONDS` (2) in the environment where other values are wanted.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::cell::RefCell;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ringmesh::runtime::{
    ExecutorHandle, ExecutorSettings, Listener, Scope, ScopeOptions, StopFlag, Stream, Watchdog,
    WatchdogSettings, core_busy, spawn_executor, warm_up,
};

const REQUEST: &[u8] = &[b'x'; 200];

/// What the kernel has counted for one thread.
#[derive(Debug, Clone, Copy)]
struct Usage {
    voluntary_switches: i64,
    /// Calls of write(2), which is how one executor wakes another; sockets are not counted here.
    writes: u64,
    cpu: Duration,
}

impl Usage {
    fn of_this_thread() -> Self {
        // SAFETY: zeros are a valid rusage, which the kernel then fills in.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &mut usage), 0);
            usage
        };
        let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1_000);
        let io = fs::read_to_string("/proc/thread-self/io").unwrap_or_default();
        let writes =
            io.lines().find_map(|line| line.strip_prefix("syscw: ")).and_then(|count| count.parse().ok());
        Self {
            voluntary_switches: usage.ru_nvcsw,
            writes: writes.unwrap_or_default(),
            cpu: time(usage.ru_utime) + time(usage.ru_stime),
        }
    }
}

/// The usage of the server's thread, and its executor's own idea of it.
type Served = (Usage, Usage, Duration);

fn start_server(watchdog: Watchdog, stop: StopFlag) -> (ExecutorHandle<Served>, SocketAddr) {
    let (ready, is_ready) = mpsc::channel();
    let main = move || async move {
        warm_up().await;
        let _tick = watchdog.register(0);
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), 1_024).unwrap();
        ready.send(listener.local_addr()).unwrap();
        let (before, busy) = (Usage::of_this_thread(), core_busy());
        Scope::run(ScopeOptions::named("server"), |scope| async move {
            let connections = scope.clone();
            let accept = async move {
                while let Ok(stream) = listener.accept().await {
                    connections.spawn("echo", echo(stream)).unwrap();
                }
            };
            scope.spawn("accept", accept).unwrap();
            stop.stopped().await;
            scope.cancel();
            Ok::<_, ()>(())
        })
        .await
        .unwrap();
        (before, Usage::of_this_thread(), core_busy() - busy)
    };
    let server = spawn_executor(None, "server", &ExecutorSettings::default(), main).unwrap();
    (server, is_ready.recv().unwrap())
}

async fn echo(mut stream: Stream) {
    let mut out = Vec::new();
    while let Ok(bytes) = stream.read().await {
        if bytes.is_empty() {
            return;
        }
        out.extend_from_slice(&bytes);
        drop(bytes);
        out = stream.write(out);
        if stream.flush().await.is_err() {
            return;
        }
    }
}

/// The latency of every request that `connections` closed loops made, sorted.
fn run_clients(addr: SocketAddr, connections: usize, time: Duration) -> Vec<Duration> {
    let main = move || async move {
        warm_up().await;
        let latencies = Rc::new(RefCell::new(Vec::new()));
        let collected = Rc::clone(&latencies);
        Scope::run(ScopeOptions::named("clients"), |scope| async move {
            let until = Instant::now() + time;
            for _ in 0..connections {
                let latencies = Rc::clone(&latencies);
                scope.spawn("client", async move {
                    let mut stream = Stream::connect(addr, Duration::from_secs(5)).await?;
                    while Instant::now() < until {
                        let start = Instant::now();
                        let _ = stream.write(REQUEST.to_vec());
                        stream.flush().await?;
                        let mut answered = 0;
                        while answered < REQUEST.len() {
                            answered += stream.read().await?.len();
                        }
                        latencies.borrow_mut().push(start.elapsed());
                    }
                    Ok::<_, std::io::Error>(())
                })?;
            }
            Ok::<_, ringmesh::runtime::ScopeClosed>(())
        })
        .await
        .unwrap();
        let mut latencies = collected.take();
        latencies.sort_unstable();
        latencies
    };
    spawn_executor(None, "clients", &ExecutorSettings::default(), main).unwrap().join().unwrap()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
#[ignore = "a measurement: it wants a quiet machine and somebody who reads it"]
fn switches_and_wakes_of_a_request() {
    let connections = setting("RINGMESH_CONNECTIONS", 64) as usize;
    let time = Duration::from_secs(setting("RINGMESH_SECONDS", 2));
    let watchdog = Watchdog::start(WatchdogSettings::default()).unwrap();
    let stop = StopFlag::new();
    let (server, addr) = start_server(watchdog, stop.clone());
    let latencies = run_clients(addr, connections, time);
    stop.stop();
    let (before, after, busy) = server.join().unwrap();
    let requests = latencies.len();
    let each = |count: f64| count / requests as f64;
    let percentile = |share: f64| latencies[((requests - 1) as f64 * share) as usize];
    println!("{requests} requests on {connections} connections in {time:?}");
    println!(
        "voluntary switches a request: {:.5}",
        each((after.voluntary_switches - before.voluntary_switches) as f64)
    );
    println!("eventfd writes a request:     {:.5}", each((after.writes - before.writes) as f64));
    println!("server cpu a request:         {:.2} µs", each((after.cpu - before.cpu).as_secs_f64() * 1e6));
    println!("server busy a request:        {:.2} µs", each(busy.as_secs_f64() * 1e6));
    println!(
        "latency p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?}",
        percentile(0.5),
        percentile(0.99),
        percentile(0.999),
        percentile(1.0)
    );
    let slow = latencies.iter().filter(|latency| **latency > Duration::from_millis(15)).count();
    println!("slower than 15 ms: {slow}");
}

#[test]
#[ignore = "a measurement: it wants a quiet machine and somebody who reads it"]
fn what_an_idle_process_takes() {
    let watchdog = Watchdog::start(WatchdogSettings::default()).unwrap();
    let stop = StopFlag::new();
    let start = Instant::now();
    let cores: Vec<_> = (0..2)
        .map(|core| {
            let (watchdog, stop) = (watchdog.clone(), stop.clone());
            let main = move || async move {
                warm_up().await;
                println!("core {core} is warm after {:?}", start.elapsed());
                let _tick = watchdog.register(core);
                stop.stopped().await;
            };
            spawn_executor(None, &format!("core {core}"), &ExecutorSettings::default(), main).unwrap()
        })
        .collect();
    thread::sleep(Duration::from_secs(1));
    let cpu = process_cpu();
    let time = Duration::from_secs(setting("RINGMESH_SECONDS", 5));
    thread::sleep(time);
    let share = (process_cpu() - cpu).as_secs_f64() / time.as_secs_f64();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("Rss"));
    for thread in fs::read_dir("/proc/self/task").unwrap() {
        let path = thread.unwrap().path();
        let name = fs::read_to_string(path.join("comm")).unwrap();
        let spent = fs::read_to_string(path.join("schedstat")).unwrap();
        let nanos: u64 = spent.split(' ').next().unwrap().parse().unwrap();
        println!("thread {}: {:?} since its start", name.trim(), Duration::from_nanos(nanos));
    }
    println!("two idle executors and the watchdog: {:.3} % of a core", share * 100.0);
    resident.for_each(|line| println!("{line}"));
    println!("ticks: {:?}", watchdog.report());
    stop.stop();
    cores.into_iter().for_each(|core| core.join().unwrap());
}

fn process_cpu() -> Duration {
    // SAFETY: zeros are a valid timespec, which the kernel then fills in.
    unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        assert_eq!(libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time), 0);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}
