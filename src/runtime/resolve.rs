//! Names become addresses off the executors: the system's resolver blocks, so it runs on threads of its own.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::OnceLock;
use std::time::Duration;

use futures_lite::future;

use super::blocking::BlockingPool;
use super::timer::Timer;

/// Threads that ask the system's resolver, of the whole process.
const MAX_THREADS: usize = 4;
/// Look-ups of the process that wait for a thread; one more fails with [`ResolveError::Busy`].
const MAX_QUEUE: usize = 64;
/// Addresses of one name that are kept; more are ignored.
const MAX_ADDRESSES: usize = 16;

/// Why a name has no address.
#[derive(Debug)]
#[non_exhaustive]
pub enum ResolveError {
    /// The system's resolver says so.
    NotFound(io::Error),
    /// It did not answer in time.
    TimedOut,
    /// Too many look-ups are under way: every thread is busy and their queue is full.
    Busy,
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(error) => error.fmt(f),
            Self::TimedOut => f.write_str("the resolver did not answer in time"),
            Self::Busy => write!(f, "{MAX_THREADS} look-ups are running and {MAX_QUEUE} are waiting already"),
        }
    }
}

impl std::error::Error for ResolveError {}

/// The addresses of `host`, at most 16, the two families in turn. An IP address and `localhost` (RFC 6761) need no
/// look-up. Await it in a queue that hears of other threads, see [`BlockingPool`]. Cancel safe.
///
/// # Errors
/// [`ResolveError`]; a name without addresses is [`ResolveError::NotFound`].
///
/// # Panics
/// On a thread that runs no executor, where a look-up is needed.
pub async fn resolve(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, ResolveError> {
    if let Some(addresses) = without_look_up(host, port) {
        return Ok(addresses);
    }
    let host = host.to_owned();
    let look_up = move || Ok((host.as_str(), port).to_socket_addrs()?.take(MAX_ADDRESSES).collect());
    on_a_thread(look_up, timeout).await
}

async fn on_a_thread(
    look_up: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
    timeout: Duration,
) -> Result<Vec<SocketAddr>, ResolveError> {
    static POOL: OnceLock<BlockingPool> = OnceLock::new();
    let pool = POOL.get_or_init(|| BlockingPool::unpinned(MAX_THREADS, MAX_QUEUE));
    let job = pool.submit(look_up).map_err(|_full| ResolveError::Busy)?;
    let found = async { Some(job.await) };
    let late = async {
        Timer::after(timeout).await;
        None
    };
    match future::or(found, late).await {
        Some(Ok(Ok(addresses))) if addresses.is_empty() => {
            Err(ResolveError::NotFound(io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
        }
        Some(Ok(Ok(addresses))) => Ok(in_turn(addresses)),
        Some(Ok(Err(error))) => Err(ResolveError::NotFound(error)),
        Some(Err(error)) => Err(ResolveError::NotFound(io::Error::other(error))),
        None => Err(ResolveError::TimedOut),
    }
}

fn without_look_up(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(vec![SocketAddr::new(address, port)]);
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let local = name == "localhost" || name.ends_with(".localhost");
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    local.then(|| loopback.map(|address| SocketAddr::new(address, port)).to_vec())
}

/// The resolver's order, but the two families in turn, so that a family without a route costs one attempt.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|addr| addr.is_ipv6() == first_is_v6);
    let mut mixed = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return mixed;
        }
        mixed.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ExecutorSettings, spawn_executor};
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_and_localhost_need_no_thread() {
        assert_eq!(without_look_up("10.1.2.3", 80), Some(vec![addr("10.1.2.3:80")]));
        assert_eq!(without_look_up("::1", 80), Some(vec![addr("[::1]:80")]));
        let local = Some(vec![addr("127.0.0.1:7"), addr("[::1]:7")]);
        assert_eq!(without_look_up("LocalHost", 7), local);
        assert_eq!(without_look_up("a.localhost.", 7), local);
        assert_eq!(without_look_up("example.org", 7), None);
        assert_eq!(without_look_up("notlocalhost", 7), None);
    }

    #[test]
    fn the_families_take_turns() {
        let sorted = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(addr).to_vec();
        assert_eq!(in_turn(sorted), ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"].map(addr));
    }

    #[test]
    fn a_slow_resolver_ends_with_the_deadline_and_an_empty_answer_is_an_error() {
        let main = || async {
            let slow = || {
                std::thread::sleep(Duration::from_millis(500));
                Ok(vec![])
            };
            let late = on_a_thread(slow, Duration::from_millis(20)).await;
            assert!(matches!(late, Err(ResolveError::TimedOut)), "{late:?}");
            let none = on_a_thread(|| Ok(vec![]), Duration::from_secs(5)).await;
            assert!(matches!(none, Err(ResolveError::NotFound(_))), "{none:?}");
            let found = on_a_thread(|| Ok(vec![([9, 9, 9, 9], 9).into()]), Duration::from_secs(5)).await;
            assert_eq!(found.unwrap(), [addr("9.9.9.9:9")]);
        };
        spawn_executor(None, "test", &ExecutorSettings::default(), main).unwrap().join().unwrap();
    }
}
