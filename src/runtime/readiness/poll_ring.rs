//! The ring itself: polls that stay armed, and a descriptor that says when it has something.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{Ordering, fence};

use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};

/// Submissions it holds before it has to hand them over.
const ENTRIES: u32 = 64;
/// Completions it holds; what comes beyond waits in the kernel, and costs an allocation there.
const COMPLETIONS: u32 = 1024;
/// What a reader wants to hear of. Errors and the end of both directions are told unasked.
const EVENTS: u32 = (libc::POLLIN | libc::POLLRDHUP) as u32;
/// A turn enters the kernel so often at most. It does twenty sockets' work each time (Linux 6.18).
const ENTERS: u32 = 32;
/// Names the completion of a cancellation, which nobody waits for.
const NOBODY: u64 = u64::MAX;

/// A ring of one thread's own. The kernel does its share of the work only when this thread enters it, and so never
/// interrupts the thread.
pub(super) struct PollRing {
    ring: IoUring,
    /// What the ring has no room for yet.
    waiting: VecDeque<squeue::Entry>,
    events: File,
}

impl PollRing {
    /// The ring, and an eventfd that becomes readable while the ring announces and has something to do.
    ///
    /// # Errors
    /// Where the kernel is older than 6.1 or has no room for it.
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(COMPLETIONS)
            .dontfork()
            .build(ENTRIES)?;
        // SAFETY: the call takes two integers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else has it.
        let events = unsafe { OwnedFd::from_raw_fd(fd) };
        ring.submitter().register_eventfd(events.as_raw_fd())?;
        let mine = File::from(events.try_clone()?);
        Ok((Self { ring, waiting: VecDeque::new(), events: mine }, events))
    }

    /// Arms a poll that tells of every change until it is taken back. The kernel learns of it with the next turn.
    pub(super) fn arm(&mut self, socket: BorrowedFd<'_>, user_data: u64) {
        let poll = opcode::PollAdd::new(Fd(socket.as_raw_fd()), EVENTS).multi(true);
        self.waiting.push_back(poll.build().user_data(user_data));
    }

    /// Takes a poll back. The kernel learns of it with the next turn.
    pub(super) fn disarm(&mut self, user_data: u64) {
        // Not a removal: that leaves a poll alone that is just about to tell of something (EALREADY).
        self.waiting.push_back(opcode::AsyncCancel::new(user_data).build().user_data(NOBODY));
    }

    /// Hands over what was asked for, has the kernel do what it put off, and tells each completion: its user data, its
    /// result, and whether more follow.
    ///
    /// # Errors
    /// When the kernel refuses the ring altogether.
    pub(super) fn turn(&mut self, mut tell: impl FnMut(u64, i32, bool)) -> io::Result<()> {
        for _ in 0..ENTERS {
            self.push();
            if !self.has_work() {
                break;
            }
            self.enter()?;
            for completion in self.ring.completion() {
                if completion.user_data() != NOBODY {
                    tell(completion.user_data(), completion.result(), cqueue::more(completion.flags()));
                }
            }
        }
        Ok(())
    }

    /// Whether the eventfd tells of what comes. While somebody looks it need not. It tells at once of what is left.
    pub(super) fn announce(&mut self, on: bool) {
        if !on {
            return self.ring.completion().disable_eventfd();
        }
        self.ring.completion().enable_eventfd();
        // What came just before found the eventfd disabled, and is seen here. The kernel's side has no such fence: where the
        // processor may swap its two accesses (not x86), the tick finds what both have missed.
        fence(Ordering::SeqCst);
        if self.has_work() {
            self.ring_bell();
        }
    }

    /// Has the eventfd tell of something.
    pub(super) fn ring_bell(&mut self) {
        // The counter is far from full, so this does not fail; the tick would find what is left.
        let _ = self.events.write(&1_u64.to_ne_bytes());
    }

    /// Whether there is something to hand over or to have done.
    pub(super) fn has_work(&mut self) -> bool {
        let submission = self.ring.submission();
        !self.waiting.is_empty() || !submission.is_empty() || submission.taskrun() || submission.cq_overflow()
    }

    fn push(&mut self) {
        let mut submission = self.ring.submission();
        while let Some(entry) = self.waiting.front() {
            // SAFETY: a poll and its cancellation refer to no memory. They name a descriptor: one that was closed before the
            // kernel learns of the poll is taken back right behind it, whatever the number means by then.
            if unsafe { submission.push(entry) }.is_err() {
                return;
            }
            self.waiting.pop_front();
        }
    }

    fn enter(&mut self) -> io::Result<()> {
        const GET_EVENTS: u32 = 1;
        let pushed = self.ring.submission().len() as u32;
        // SAFETY: no argument is passed, and what was pushed refers to no memory.
        match unsafe { self.ring.submitter().enter::<()>(pushed, 0, GET_EVENTS, None) } {
            Ok(_) => Ok(()),
            // The completions have to be taken first, or the moment was bad; the next turn goes on.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EAGAIN | libc::EINTR)) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
