//! One program from its start to its end: a thread that feeds it, hears it, and kills it when it must.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::groups::Groups;
use super::lines::Lines;
use super::notes::{MAX_LINE_BYTES, MAX_PROGRESS_BYTES, Notes};
use super::outcome::{Exit, Output};
use super::plan::Step;
use super::process::Process;

/// From the polite signal to the one that cannot be ignored.
const KILL_GRACE: Duration = Duration::from_secs(5);
/// How often to look whether a child has ended, where the system does not tell.
const LOOK_TIME: Duration = Duration::from_millis(50);
/// Bytes read at once.
const CHUNK_BYTES: usize = 16 << 10;
/// Bytes that are read after a child's end, from a pipe that something still writes to.
const MAX_REST_BYTES: usize = 1 << 20;

/// What one program may take, and where what it says goes.
pub(super) struct Bounds<'a> {
    /// When it is killed.
    pub(super) until: Option<Instant>,
    /// Bytes of standard output that are kept.
    pub(super) max_output_bytes: usize,
    /// Readable once it is to be killed.
    pub(super) control: &'a UnixStream,
    /// Hears what it says.
    pub(super) said: &'a dyn Fn(Notes),
}

struct Pump<'a> {
    process: Process,
    bounds: &'a Bounds<'a>,
    input: &'a [u8],
    gives_result: bool,
    output: Output,
    out_lines: Lines,
    log: Lines,
    progress: Lines,
    /// Why it is killed, and when for good.
    killing: Option<(Exit, Instant)>,
}

/// Runs a program. Its output is returned where it is the result.
pub(super) fn run(step: &Step, bounds: &Bounds<'_>, groups: &Groups) -> (Exit, Output) {
    let process = match Process::start(step, groups) {
        Ok(process) => process,
        Err(error) => {
            let why = format!("{}: {error}", step.program.display());
            return (Exit::NotStarted(why), Output::default());
        }
    };
    let pump = Pump {
        process,
        bounds,
        input: &step.input,
        gives_result: step.gives_result,
        output: Output::default(),
        out_lines: Lines::new(MAX_LINE_BYTES),
        log: Lines::new(MAX_LINE_BYTES),
        progress: Lines::new(MAX_PROGRESS_BYTES),
        killing: None,
    };
    pump.run()
}

impl Pump<'_> {
    fn run(mut self) -> (Exit, Output) {
        loop {
            let now = Instant::now();
            self.kill_when_due(now);
            let Ready { ended, told } = self.wait(now);
            if told && !ended && self.killing.is_none() {
                self.kill(Exit::Killed, now);
            }
            self.feed();
            self.hear(CHUNK_BYTES);
            if ended {
                break;
            }
        }
        let status = self.process.reap();
        self.hear(MAX_REST_BYTES);
        self.tell_lines(true);
        let exit = match (self.killing, status) {
            (Some((why, _)), _) => why,
            (None, Ok(status)) => match status.code() {
                Some(code) => Exit::Code(code),
                None => Exit::Signal(status.signal().unwrap_or(0)),
            },
            (None, Err(error)) => Exit::NotStarted(error.to_string()),
        };
        (exit, self.output)
    }

    fn kill(&mut self, why: Exit, now: Instant) {
        self.process.signal(libc::SIGTERM);
        self.killing = Some((why, now + KILL_GRACE));
    }

    fn kill_when_due(&mut self, now: Instant) {
        match &self.killing {
            None if self.bounds.until.is_some_and(|until| now >= until) => self.kill(Exit::TimedOut, now),
            Some((_, at)) if now >= *at => self.process.signal(libc::SIGKILL),
            _ => {}
        }
    }

    /// Waits until there is something to do.
    fn wait(&self, now: Instant) -> Ready {
        let control = self.killing.is_none().then(|| self.bounds.control.as_raw_fd());
        let process = &self.process;
        let reads = [
            process.ended.as_ref().map(AsRawFd::as_raw_fd),
            control,
            process.stdout.as_ref().map(AsRawFd::as_raw_fd),
            process.stderr.as_ref().map(AsRawFd::as_raw_fd),
            process.progress.as_ref().map(AsRawFd::as_raw_fd),
        ];
        let entry = |fd: Option<RawFd>, events| libc::pollfd { fd: fd.unwrap_or(-1), events, revents: 0 };
        let mut entries: Vec<libc::pollfd> = reads.iter().map(|fd| entry(*fd, libc::POLLIN)).collect();
        entries.push(entry(process.stdin.as_ref().map(AsRawFd::as_raw_fd), libc::POLLOUT));
        let due = self.killing.as_ref().map(|(_, at)| *at).or(self.bounds.until);
        let due = due.map(|at| at.saturating_duration_since(now).max(Duration::from_millis(1)));
        let look = process.ended.is_none().then_some(LOOK_TIME);
        let wait = due.into_iter().chain(look).min();
        let wait = wait.map_or(-1, |wait| i32::try_from(wait.as_millis() + 1).unwrap_or(i32::MAX));
        // SAFETY: the array lives for the call, and its length is its own.
        unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, wait) };
        let is_ready = |at: usize| entries[at].revents != 0;
        let ended = if process.ended.is_some() { is_ready(0) } else { process.has_ended() };
        Ready { ended, told: is_ready(1) }
    }

    /// Writes what the pipe takes. A command that does not read its input is none the worse for it.
    fn feed(&mut self) {
        while let Some(stdin) = &mut self.process.stdin {
            if self.input.is_empty() {
                self.process.stdin = None;
                return;
            }
            match stdin.write(self.input) {
                Ok(written) => self.input = &self.input[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.process.stdin = None,
            }
        }
    }

    /// Reads what is there, about `max` bytes of each pipe at most.
    fn hear(&mut self, max: usize) {
        let (output, keep) = (&mut self.output, self.bounds.max_output_bytes);
        let (lines, is_result) = (&mut self.out_lines, self.gives_result);
        drain(&mut self.process.stdout, max, |bytes| match is_result {
            false => lines.add(bytes),
            true => {
                let room = keep.saturating_sub(output.bytes.len()).min(bytes.len());
                output.bytes.extend_from_slice(&bytes[..room]);
                output.total += bytes.len() as u64;
            }
        });
        drain(&mut self.process.stderr, max, |bytes| self.log.add(bytes));
        drain(&mut self.process.progress, max, |bytes| self.progress.add(bytes));
        self.tell_lines(false);
    }

    fn tell_lines(&mut self, all: bool) {
        let mut notes = Notes::default();
        for line in self.out_lines.take(all).into_iter().chain(self.log.take(all)) {
            notes.log(line);
        }
        for line in self.progress.take(all) {
            match serde_json::from_str(&line) {
                Ok(Value::Object(told)) => notes.progress(told),
                _ if line.trim().is_empty() => {}
                // The author of the command reads the log.
                _ => notes.log("[a line on descriptor 3 is no JSON object of at most 16 KiB; it is ignored]"),
            }
        }
        if !notes.is_empty() {
            (self.bounds.said)(notes);
        }
    }
}

struct Ready {
    ended: bool,
    /// Whether it is to be killed.
    told: bool,
}

/// Reads until the pipe is empty or closed, or `max` bytes have come.
fn drain<P: Read>(pipe: &mut Option<P>, max: usize, mut take: impl FnMut(&[u8])) {
    let mut chunk = [0; CHUNK_BYTES];
    let mut total = 0;
    while let Some(open) = pipe.as_mut().filter(|_| total < max) {
        match open.read(&mut chunk) {
            Ok(0) => *pipe = None,
            Ok(length) => {
                total += length;
                take(&chunk[..length]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => *pipe = None,
        }
    }
}
