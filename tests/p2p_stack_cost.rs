//! What a libp2p connection holds while it is idle, and what a request on it costs in allocations and sends: the parts
//! that a noisy machine cannot blur. `--ignored --nocapture` on a release build shows the time too.
#![allow(clippy::print_stdout, reason = "the measurement is for people to read")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use ringmesh::p2p::Keypair;
use ringmesh::p2p::stack::{Handle, InboundStream, Role, StackOptions, upgrade};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<isize> = const { Cell::new(0) };
}

fn count(allocations: usize, bytes: isize) {
    ALLOCATIONS.with(|count| count.set(count.get() + allocations));
    LIVE_BYTES.with(|live| live.set(live.get() + bytes));
}

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as isize);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -(layout.size() as isize));
        // SAFETY: the pointer came from `alloc` above, that is from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One direction of a pipe. It holds no memory while it is empty.
#[derive(Default)]
struct Way {
    bytes: Vec<u8>,
    read: usize,
    reader: Option<Waker>,
    sends: usize,
}

/// A byte stream that sends when it is flushed.
struct Pipe {
    from: Rc<RefCell<Way>>,
    to: Rc<RefCell<Way>>,
    staged: Vec<u8>,
}

fn pipe() -> (Pipe, Pipe) {
    let (a, b) = (Rc::<RefCell<Way>>::default(), Rc::<RefCell<Way>>::default());
    let end = |from: &Rc<RefCell<Way>>, to: &Rc<RefCell<Way>>| Pipe {
        from: from.clone(),
        to: to.clone(),
        staged: Vec::new(),
    };
    (end(&a, &b), end(&b, &a))
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut way = self.from.borrow_mut();
        let read = out.len().min(way.bytes.len() - way.read);
        if read == 0 {
            way.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        out[..read].copy_from_slice(&way.bytes[way.read..way.read + read]);
        way.read += read;
        if way.read == way.bytes.len() {
            (way.bytes, way.read) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(read))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.staged.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let staged = std::mem::take(&mut self.staged);
        let mut way = self.to.borrow_mut();
        way.sends += usize::from(!staged.is_empty());
        if way.bytes.is_empty() {
            way.bytes = staged
        } else {
            way.bytes.extend_from_slice(&staged)
        }
        way.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;
type Ready = Arc<Mutex<VecDeque<usize>>>;

/// Tasks in the order in which they were woken, as the executor of a core runs them.
#[derive(Clone, Default)]
struct Tasks {
    tasks: Rc<RefCell<Vec<Place>>>,
    free: Rc<RefCell<Vec<usize>>>,
    ready: Ready,
}

struct Place {
    task: Option<Task>,
    woken: Arc<Woken>,
}

struct Woken {
    place: usize,
    ready: Ready,
    is_ready: AtomicBool,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_ready.swap(true, Relaxed) {
            self.ready.lock().unwrap().push_back(self.place);
        }
    }
}

impl Tasks {
    fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let mut tasks = self.tasks.borrow_mut();
        let place = self.free.borrow_mut().pop().unwrap_or(tasks.len());
        if place == tasks.len() {
            let woken = Woken { place, ready: self.ready.clone(), is_ready: AtomicBool::new(false) };
            tasks.push(Place { task: None, woken: Arc::new(woken) });
        }
        tasks[place].task = Some(Box::pin(future));
        tasks[place].woken.wake_by_ref();
    }

    /// Runs until nobody is woken.
    fn run(&self) {
        loop {
            let next = self.ready.lock().unwrap().pop_front();
            let Some(place) = next else { return };
            let (task, woken) = {
                let place = &mut self.tasks.borrow_mut()[place];
                (place.task.take(), place.woken.clone())
            };
            woken.is_ready.store(false, Relaxed);
            let Some(mut task) = task else { continue };
            if task.as_mut().poll(&mut Context::from_waker(&Waker::from(woken))).is_pending() {
                self.tasks.borrow_mut()[place].task = Some(task);
            } else {
                self.free.borrow_mut().push(place);
            }
        }
    }
}

const PROTOCOL: &str = "/mcp+p2p/1.0.0";

struct Pair {
    dialer: Handle,
    _listener: Handle,
    ways: [Rc<RefCell<Way>>; 2],
}

/// Connects two ends whose drivers run.
fn connect(tasks: &Tasks, serve: fn(&Tasks, InboundStream)) -> Pair {
    let (mine, yours) = pipe();
    let ways = [mine.to.clone(), mine.from.clone()];
    let handles = Rc::<RefCell<[Option<Handle>; 2]>>::default();
    for (side, end) in [mine, yours].into_iter().enumerate() {
        let role = [Role::Dialer { expected: None }, Role::Listener][side];
        let (handles, spawner) = (handles.clone(), tasks.clone());
        tasks.spawn(async move {
            let key = Keypair::generate_ed25519();
            let (handle, driver, _) = upgrade(end, role, &key, &StackOptions::default()).await.unwrap();
            handles.borrow_mut()[side] = Some(handle);
            let spawn = spawner.clone();
            spawner.spawn(async move { driver.run(move |stream| serve(&spawn, stream)).await.unwrap() });
        });
    }
    tasks.run();
    let [dialer, listener] = handles.take().map(Option::unwrap);
    Pair { dialer, _listener: listener, ways }
}

fn answer(tasks: &Tasks, stream: InboundStream) {
    tasks.spawn(async move {
        let (mut stream, _) = stream.negotiate(&["/ipfs/id/1.0.0", PROTOCOL]).await.unwrap();
        let mut bytes = [0; 150];
        while stream.read_exact(&mut bytes).await.is_ok() {
            stream.write_all(&bytes).await.unwrap();
            stream.flush().await.unwrap();
        }
        let _ = stream.close().await;
    });
}

async fn exchange(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut bytes = [7; 150];
    stream.write_all(&bytes).await.unwrap();
    stream.flush().await.unwrap();
    stream.read_exact(&mut bytes).await.unwrap();
}

async fn on_one_stream_each(handle: Handle, requests: usize) {
    for _ in 0..requests {
        let (mut stream, _) = handle.open(&[PROTOCOL]).await.unwrap();
        exchange(&mut stream).await;
        stream.close().await.unwrap();
        let _ = stream.read(&mut [0; 1]).await;
    }
}

async fn on_one_long_stream(handle: Handle, requests: usize) {
    let (mut stream, _) = handle.open(&[PROTOCOL]).await.unwrap();
    for _ in 0..requests {
        exchange(&mut stream).await;
    }
    stream.close().await.unwrap();
}

/// Of what is counted here, the two buffers of 8 KiB that Noise keeps are most, and of those the first hundreds of bytes
/// are all that is ever touched: resident are about two thirds.
#[test]
fn an_idle_connection_holds_less_than_24_kib_at_each_end_also_after_use() {
    const PAIRS: usize = 20;
    for used in [false, true] {
        let tasks = Tasks::default();
        // What the first one leaves behind is not what the others cost.
        let first = connect(&tasks, answer);
        let before = LIVE_BYTES.get();
        let pairs: Vec<Pair> = (0..PAIRS).map(|_| connect(&tasks, answer)).collect();
        if used {
            for pair in &pairs {
                (0..4).for_each(|_| tasks.spawn(on_one_stream_each(pair.dialer.clone(), 5)));
                tasks.run();
            }
        }
        let each = (LIVE_BYTES.get() - before) as usize / (2 * PAIRS);
        println!("idle, {}: {each} bytes an end", if used { "after 20 requests" } else { "never used" });
        assert!(each < 24 << 10, "{each} bytes");
        drop((first, pairs));
    }
}

/// Allocations and sends of both ends together, for each request; and the time.
fn measure<F: Future<Output = ()> + 'static>(
    case: &str,
    at_once: usize,
    requests: usize,
    client: fn(Handle, usize) -> F,
) -> (f64, f64) {
    let tasks = Tasks::default();
    let pair = connect(&tasks, answer);
    let run = |requests: usize| {
        (0..at_once).for_each(|_| tasks.spawn(client(pair.dialer.clone(), requests / at_once)));
        tasks.run();
    };
    run(at_once * 4);
    let sends = || pair.ways.iter().map(|way| way.borrow().sends).sum::<usize>();
    let (allocations, sent, began) = (ALLOCATIONS.get(), sends(), std::time::Instant::now());
    run(requests);
    let each = |count: usize| count as f64 / requests as f64;
    let (allocations, sent) = (each(ALLOCATIONS.get() - allocations), each(sends() - sent));
    let time = began.elapsed().as_secs_f64() * 1e6 / requests as f64;
    println!(
        "{case}, {at_once} at once: {allocations:.1} allocations, {sent:.2} sends, {time:.2} µs (both ends)"
    );
    assert_eq!(pair.dialer.streams(), 0);
    (allocations, sent)
}

#[test]
fn a_request_costs_few_allocations_and_many_at_once_share_their_sends() {
    // A turn takes in eight requests and sends their answers: a quarter of a send for each, of both ends together.
    let (allocations, sends) = measure("a stream each", 32, 640, on_one_stream_each);
    assert!(allocations < 60.0 && sends < 0.4, "{allocations} {sends}");
    let (allocations, sends) = measure("a stream each", 1, 100, on_one_stream_each);
    assert!(allocations < 70.0 && sends < 5.1, "{allocations} {sends}");
    let (allocations, sends) = measure("one long stream", 32, 640, on_one_long_stream);
    assert!(allocations < 15.0 && sends < 0.3, "{allocations} {sends}");
}

#[test]
#[ignore = "a measurement of resident memory, for a release build"]
fn the_resident_memory_of_idle_connections() {
    let resident_bytes = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    const PAIRS: usize = 2_000;
    let tasks = Tasks::default();
    let first: Vec<Pair> = (0..100).map(|_| connect(&tasks, answer)).collect();
    let before = resident_bytes();
    let pairs: Vec<Pair> = (0..PAIRS).map(|_| connect(&tasks, answer)).collect();
    println!("resident: {} bytes an end", (resident_bytes() - before) / (2 * PAIRS));
    for pair in &pairs {
        (0..4).for_each(|_| tasks.spawn(on_one_stream_each(pair.dialer.clone(), 5)));
        tasks.run();
    }
    println!("resident after 20 requests: {} bytes an end", (resident_bytes() - before) / (2 * PAIRS));
    drop(first);
}

#[test]
#[ignore = "a measurement of time, for a release build"]
fn the_time_of_a_request() {
    for _ in 0..3 {
        for at_once in [32, 1] {
            measure("a stream each", at_once, 320_000, on_one_stream_each);
            measure("one long stream", at_once, 640_000, on_one_long_stream);
        }
    }
}
