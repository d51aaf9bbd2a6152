//! The reaper: a process beside the worker that ends what the worker has started when the worker cannot do so itself.
//!
//! A worker that is killed runs no line of code any more. The kernel then kills its direct children
//! (`PR_SET_PDEATHSIG`), not what those have started, and no container. So the worker tells the reaper of each process group
//! before its program begins, and of what has to be tidied up; the socket between them ends when the worker does.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use socket2::{Domain, Socket, Type};

use super::groups::{self, Groups};
use super::plan::Step;
use super::process::SECRETS;
use super::runner::tidy;

/// The subcommand of `ringmesh` that runs a reaper.
pub const SUBCOMMAND: &str = "worker-reaper";

const STARTS: u8 = b'+';
const TIDIES: u8 = b't';
const ENDED: u8 = b'-';
/// A message may have so many bytes: a program and its arguments, as a rule a few hundred.
const MAX_MESSAGE_BYTES: usize = 16 << 10;

/// The worker's side. Clones share it.
#[derive(Debug, Clone)]
pub struct Reaper {
    socket: Arc<Socket>,
    next: Arc<AtomicU64>,
}

impl Reaper {
    /// Starts the reaper: this very program, with [`SUBCOMMAND`] as its only argument, which must call [`reap_at_end`].
    ///
    /// # Errors
    /// When there is no further process to be had, or no `/proc`.
    pub fn start() -> io::Result<Reaper> {
        let (ours, theirs) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
        // The file at the program's path may be a newer version by now, and speak otherwise.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("ringmesh").arg(SUBCOMMAND).stdin(Stdio::from(OwnedFd::from(theirs)));
        for secret in SECRETS {
            command.env_remove(secret);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn()?;
        Ok(Reaper { socket: Arc::new(ours), next: Arc::default() })
    }

    /// Makes the child tell of its group itself, once it leads it and before its program can start others: the worker could
    /// be killed in between.
    pub(super) fn follow(&self, command: &mut Command) -> u64 {
        let token = self.token();
        let socket = self.socket.as_raw_fd();
        let starts = move || {
            // SAFETY: getpid has no preconditions.
            let group = unsafe { libc::getpid() };
            let mut message = [STARTS; 13];
            message[1..9].copy_from_slice(&token.to_le_bytes());
            message[9..].copy_from_slice(&group.to_le_bytes());
            send(socket, &message);
            Ok(())
        };
        // SAFETY: between fork and exec the closure calls nothing but getpid and send, which are safe there, and touches no
        // memory but its own; the socket is open, because the command is started while `self` is borrowed by its `Groups`.
        unsafe { command.pre_exec(starts) };
        token
    }

    /// Programs that are to run, in order, when the worker is gone before [`Reaper::ended`].
    pub(super) fn tidies(&self, steps: &[Step]) -> u64 {
        let token = self.token();
        for step in steps {
            let mut message = vec![TIDIES];
            message.extend(token.to_le_bytes());
            message.extend(step.program.as_os_str().as_encoded_bytes());
            step.arguments.iter().for_each(|argument| {
                message.push(0);
                message.extend(argument.as_bytes());
            });
            // What is cut might name something else.
            if message.len() <= MAX_MESSAGE_BYTES {
                send(self.socket.as_raw_fd(), &message);
            }
        }
        token
    }

    /// Nothing is to be done any more for a token.
    pub(super) fn ended(&self, token: u64) {
        let mut message = [ENDED; 9];
        message[1..].copy_from_slice(&token.to_le_bytes());
        send(self.socket.as_raw_fd(), &message);
    }

    fn token(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// Waits while the reaper is behind. A reaper that is gone is no reason not to work; the kernel still ends direct children.
fn send(socket: RawFd, message: &[u8]) {
    // SAFETY: the message lives for the call, and its length is its own. A descriptor that is closed is an error.
    unsafe { libc::send(socket, message.as_ptr().cast(), message.len(), libc::MSG_NOSIGNAL) };
}

/// The reaper's process: hears on standard input what the worker starts and ends, and once it hears no more, ends the rest.
///
/// # Errors
/// When standard input is not the socket that [`Reaper::start`] makes.
pub fn reap_at_end() -> io::Result<()> {
    let socket = Socket::from(io::stdin().as_fd().try_clone_to_owned()?);
    // A group's number out of any other source could be anybody's.
    if !socket.r#type().is_ok_and(|kind| kind == Type::SEQPACKET) {
        return Err(io::Error::other("this command is for the worker itself, not for people"));
    }
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: no handler is set; who stops a whole service leaves the worker its time to end its tasks.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    let (mut held, mut message) = (Held::default(), vec![0; MAX_MESSAGE_BYTES]);
    loop {
        match (&socket).read(&mut message) {
            Ok(0) => break,
            Ok(length) => held.hear(&message[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    held.end();
    Ok(())
}

/// What the worker has started and not yet ended, by token.
#[derive(Debug, Default)]
struct Held {
    groups: BTreeMap<u64, u32>,
    tidying: BTreeMap<u64, Vec<Step>>,
}

impl Held {
    fn hear(&mut self, message: &[u8]) {
        let Some((kind, rest)) = message.split_first() else { return };
        let Some((token, rest)) = rest.split_first_chunk() else { return };
        let token = u64::from_le_bytes(*token);
        match *kind {
            STARTS => self.groups.extend(group(rest).map(|group| (token, group))),
            TIDIES => self.tidying.entry(token).or_default().extend(step(rest)),
            ENDED => {
                self.groups.remove(&token);
                self.tidying.remove(&token);
            }
            _ => {}
        }
    }

    /// Kills at once, as the kernel does with the direct children: the group's number stays taken while it has a member.
    fn end(self) {
        self.groups.values().for_each(|group| groups::kill(*group, libc::SIGKILL));
        thread::scope(|scope| {
            for steps in self.tidying.values() {
                scope.spawn(|| steps.iter().for_each(|step| tidy(step, &Groups::default())));
            }
        });
    }
}

/// A group that a command can lead; 0 and 1 would mean this one, and every process there is.
fn group(bytes: &[u8]) -> Option<u32> {
    let group = i32::from_le_bytes(bytes.try_into().ok()?);
    u32::try_from(group).ok().filter(|group| *group > 1)
}

fn step(bytes: &[u8]) -> Option<Step> {
    let mut words = bytes.split(|byte| *byte == 0).map(|word| String::from_utf8(word.to_vec()).ok());
    let program = words.next().flatten().filter(|program| !program.is_empty())?;
    Some(Step::program(program, words.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

    use super::super::process::Process;
    use super::*;

    fn message(kind: u8, token: u64, rest: &[u8]) -> Vec<u8> {
        [&[kind][..], &token.to_le_bytes(), rest].concat()
    }

    #[test]
    fn what_has_ended_is_forgotten_and_the_rest_is_held() {
        let mut held = Held::default();
        for (token, group) in [(1, 700i32), (2, 800)] {
            held.hear(&message(STARTS, token, &group.to_le_bytes()));
        }
        held.hear(&message(TIDIES, 3, b"docker\0rm\0a b"));
        held.hear(&message(TIDIES, 4, b"docker\0rm\0c"));
        held.hear(&message(ENDED, 1, b""));
        held.hear(&message(ENDED, 4, b""));
        let step = Step::program("docker", vec!["rm".to_owned(), "a b".to_owned()]);
        assert_eq!(held.groups, BTreeMap::from([(2, 800)]));
        assert_eq!(held.tidying, BTreeMap::from([(3, vec![step])]));
    }

    #[test]
    fn no_message_makes_it_kill_more_than_a_command() {
        let mut held = Held::default();
        for group in [0i32, 1, -1, -700, i32::MIN] {
            held.hear(&message(STARTS, 1, &group.to_le_bytes()));
        }
        for garbage in [&b""[..], b"+", b"+12345678", b"+12345678\x07", b"t12345678", b"x12345678abcd"] {
            held.hear(garbage);
        }
        assert!(held.groups.is_empty() && held.tidying.values().all(Vec::is_empty), "{held:?}");
    }

    /// Has the reaper hear so many messages.
    fn hear(held: &mut Held, socket: &Socket, messages: usize) {
        for _ in 0..messages {
            let mut message = [0; 64];
            let length = { socket }.read(&mut message).unwrap();
            held.hear(&message[..length]);
        }
    }

    #[test]
    fn a_group_is_held_from_its_first_moment_to_its_last_and_not_beyond() {
        let (ours, theirs) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None).unwrap();
        theirs.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let groups = Groups::with_reaper(Reaper { socket: Arc::new(ours), next: Arc::default() });
        let mut held = Held::default();
        let mut sleeps = Process::start(&Step::program("sleep", vec!["8814".to_owned()]), &groups).unwrap();
        hear(&mut held, &theirs, 1);
        assert_eq!(held.groups.len(), 1);
        held.groups.values().for_each(|group| groups::kill(*group, libc::SIGKILL));
        sleeps.reap().unwrap();
        hear(&mut held, &theirs, 1);
        assert!(held.groups.is_empty(), "its number may be another's");
        // The child has told of itself before its program turns out not to be there.
        assert!(Process::start(&Step::program("/no/such/program", Vec::new()), &groups).is_err());
        hear(&mut held, &theirs, 1);
        assert_eq!(held.groups.len(), 1);
        hear(&mut held, &theirs, 1);
        assert!(held.groups.is_empty());
    }
}
