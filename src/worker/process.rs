//! One child process: its own process group, its pipes, and its end, which leaves nothing behind.

use std::fs::File;
use std::io::{self, PipeReader};
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use super::groups::Groups;
use super::plan::Step;

/// The descriptor on which a command tells its progress.
pub(super) const PROGRESS_FD: RawFd = 3;
/// What the worker itself proves who it is with, which is no business of commands.
pub(super) const SECRETS: [&str; 1] = ["RINGMESH_P2P_TOKEN"];

/// A child process and this side of its pipes, none of which block.
pub(super) struct Process {
    child: Child,
    groups: Groups,
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
    pub(super) progress: Option<PipeReader>,
    /// Readable once the child has ended; `None` where the system has no such thing.
    pub(super) ended: Option<OwnedFd>,
}

/// Holds descriptor 3 of this process where it was free, so that no pipe of the standard library's own gets it: a child
/// finds its progress there.
pub(super) fn reserve_progress_fd() -> io::Result<File> {
    File::open("/dev/null")
}

impl Process {
    /// Starts a step's program.
    pub(super) fn start(step: &Step, groups: &Groups) -> io::Result<Process> {
        let mut command = Command::new(&step.program);
        command.args(&step.arguments).envs(step.environment.iter().map(|(name, value)| (name, value)));
        for secret in SECRETS {
            command.env_remove(secret);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let (progress, told) = match step.takes_progress {
            true => io::pipe().map(|(reader, writer)| (Some(reader), Some(writer)))?,
            false => (None, None),
        };
        let fd = told.as_ref().map(AsRawFd::as_raw_fd);
        // Before descriptor 3 becomes something else: it may be the way to the reaper.
        let followed = groups.follow(&mut command);
        // SAFETY: between fork and exec the closure calls nothing but prctl, dup2 and fcntl, which are safe there, and
        // touches no memory but its own copy of a number.
        unsafe { command.pre_exec(move || prepare(fd)) };
        let child = groups.start(command, followed)?;
        drop(told);
        let mut process = Process {
            groups: groups.clone(),
            stdin: None,
            stdout: None,
            stderr: None,
            progress,
            ended: pidfd(child.id()),
            child,
        };
        process.stdin = process.child.stdin.take();
        process.stdout = process.child.stdout.take();
        process.stderr = process.child.stderr.take();
        for fd in process.descriptors() {
            unblock(fd)?;
        }
        Ok(process)
    }

    fn descriptors(&self) -> Vec<RawFd> {
        let out =
            [self.stdout.as_ref().map(AsRawFd::as_raw_fd), self.stderr.as_ref().map(AsRawFd::as_raw_fd)];
        let more =
            [self.stdin.as_ref().map(AsRawFd::as_raw_fd), self.progress.as_ref().map(AsRawFd::as_raw_fd)];
        out.into_iter().chain(more).flatten().collect()
    }

    /// Sends a signal to the whole group.
    pub(super) fn signal(&self, signal: i32) {
        self.groups.signal(self.child.id(), signal);
    }

    /// Whether it has ended, where there is no other way to hear of it. It is left for [`Process::reap`].
    pub(super) fn has_ended(&self) -> bool {
        // SAFETY: siginfo_t is plain data for which all zeros is a value, and waitid writes nothing else.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            libc::waitid(libc::P_PID, self.child.id(), &mut info, flags) != 0 || info.si_pid() != 0
        }
    }

    /// Takes the end of a child that has ended. What it left running in its group is killed first, while the group
    /// still bears its number.
    pub(super) fn reap(&mut self) -> io::Result<ExitStatus> {
        self.signal(libc::SIGKILL);
        self.groups.end(self.child.id(), || self.child.wait())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whatever went wrong before, no process and no zombie stays; a second time does nothing.
        let _ = self.reap();
    }
}

/// Runs in the child: the progress pipe gets its number, and the death of the worker is the child's.
fn prepare(progress: Option<RawFd>) -> io::Result<()> {
    let done = |result: i32| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    // SAFETY: system calls with plain numbers.
    unsafe {
        done(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        match progress {
            // The copy of a descriptor onto itself would keep its close-on-exec flag.
            Some(PROGRESS_FD) => done(libc::fcntl(PROGRESS_FD, libc::F_SETFD, 0)),
            Some(fd) => done(libc::dup2(fd, PROGRESS_FD)),
            None => Ok(()),
        }
    }
}

fn unblock(fd: RawFd) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as the process's pipes are, and only its flags change.
    let result = unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn pidfd(pid: u32) -> Option<OwnedFd> {
    // SAFETY: the call takes two numbers; what it returns is a new descriptor that nobody else owns.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0);
        (fd >= 0).then(|| OwnedFd::from_raw_fd(fd as RawFd))
    }
}
