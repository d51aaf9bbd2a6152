//! SIGTERM, SIGINT and SIGHUP: the first one stops in good order, the second one at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::{SigId, flag, low_level};

use super::stop::StopFlag;

/// The exit code of a process that a second signal ended.
pub const SECOND_SIGNAL_EXIT: i32 = 130;

/// Handlers for SIGTERM, SIGINT and SIGHUP, in place for as long as this lives. A SIGHUP that was ignored before (by
/// `nohup`, say) stays ignored; otherwise it comes when the terminal goes away.
///
/// The first signal sets the stop flag. A second one exits the process at once with [`SECOND_SIGNAL_EXIT`], from within
/// the handler, so that it works when nothing else does any more.
#[derive(Debug)]
pub struct SignalGuard {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
    registered: Vec<SigId>,
}

/// Installs the handlers. Call it on the main thread, before any executor starts.
///
/// # Errors
/// When the system refuses a handler or the thread that waits for signals.
pub fn install(stop: StopFlag) -> io::Result<SignalGuard> {
    let ignored = is_ignored(SIGHUP)?;
    let wanted = [SIGTERM, SIGINT, SIGHUP].into_iter().filter(|signal| *signal != SIGHUP || !ignored);
    let seen = Arc::new(AtomicBool::new(false));
    let mut registered = Vec::new();
    for signal in wanted.clone() {
        // Handlers run in the order they were registered: the exit looks at the flag before this signal sets it.
        registered.push(flag::register_conditional_shutdown(signal, SECOND_SIGNAL_EXIT, Arc::clone(&seen))?);
        registered.push(flag::register(signal, Arc::clone(&seen))?);
    }
    let mut signals = Signals::new(wanted)?;
    let handle = signals.handle();
    if seen.load(Ordering::SeqCst) {
        // It came while only the first of the two listened, and nobody else will tell of it.
        stop.stop();
    }
    let wait = move || {
        for signal in signals.forever() {
            tracing::info!(
                signal = low_level::signal_name(signal),
                "stopping; a second signal ends the process at once"
            );
            stop.stop();
        }
    };
    // The thread wakes executors, which a handler must not do: waking takes locks.
    let thread = thread::Builder::new().name("signals".to_owned()).stack_size(128 << 10).spawn(wait)?;
    Ok(SignalGuard { handle, thread: Some(thread), registered })
}

/// Whether whoever started the process has it ignore the signal.
fn is_ignored(signal: i32) -> io::Result<bool> {
    // SAFETY: an action is plain data for which zeros are valid; the call only fills it in.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        match libc::sigaction(signal, std::ptr::null(), &mut action) {
            0 => Ok(action.sa_sigaction == libc::SIG_IGN),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for SignalGuard {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            low_level::unregister(id);
        }
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // The thread only logs and sets a flag; it cannot fail in a way that matters here.
            let _ = thread.join();
        }
    }
}
