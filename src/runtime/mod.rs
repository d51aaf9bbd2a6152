//! The reactor room: everything that touches threads, sockets, files, timers and signals.
//!
//! This is the only room that names glommio. It is readiness-based TCP on an io_uring reactor, one executor a
//! core, and nothing here is `Send` unless its documentation says so. Around each known defect of the reactor
//! lies a rule that this room keeps, so that the rooms above need not know it:
//!
//! - tasks start only through a [`Scope`], which catches their panics and outlives none of them;
//! - whatever another thread can wake runs in a queue whose latency matters ([`Queue::Serve`], [`Queue::P2p`]);
//! - one [`Watchdog`] thread a process pokes every executor, so that a parked one with runnable tasks goes on;
//! - a [`Listener`] waits for readiness and then accepts, so that no connection is lost when it stops.
//!
//! The main path: [`spawn_executor`] → [`Listener::accept`] → [`Stream::read`], [`Stream::write`],
//! [`Stream::flush`].

mod addresses;
mod affinity;
pub mod blocking;
mod buf;
mod clock;
mod connect;
mod core_slot;
mod deadline;
mod error;
mod executor;
pub mod file;
mod lifeline;
mod listener;
pub mod log_file;
mod panics;
pub mod preflight;
mod private_file;
mod queues;
mod readiness;
mod resolve;
mod scope;
pub mod signal;
mod stop;
mod stream;
mod stream_io;
mod tick;
mod timer;
pub mod topology;
mod watchdog;
mod wheel;

pub use addresses::machine_addresses;
pub use blocking::BlockingPool;
pub use buf::{BUF_BYTES, Buf};
pub use clock::coarse_now;
pub use connect::{ConnectError, connect_any};
pub use deadline::Deadline;
pub use error::RuntimeError;
pub use executor::{
    ExecutorHandle, ExecutorSettings, core_busy, inside_executor, prepare_process, spawn_executor, warm_up,
};
pub use listener::{Listener, ListenerStopper, bind_reserved};
pub use panics::panic_message;
pub use private_file::{Links, read_private};
pub use queues::Queue;
pub use readiness::SocketRing;
pub use resolve::{ResolveError, resolve};
pub use scope::{BoxError, Cancelled, Scope, ScopeClosed, ScopeError, ScopeOptions, TaskOutcome, WaitIdle};
pub use stop::{StopFlag, Stopped};
pub use stream::Stream;
pub use stream_io::AsyncStream;
pub use tick::{Activity, ActivityGuard, CoreTick};
pub(crate) use timer::LONGEST_WAIT;
pub use timer::{Timer, sleep, yield_now};
pub use watchdog::{CoreHealth, Watchdog, WatchdogSettings};
