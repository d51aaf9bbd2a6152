//! A server under test: a child process that says on one line where it listens, and that no way out of this one leaves behind.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use serde::Deserialize;

/// How long a server may take until it says where it listens.
const START_WITHIN: Duration = Duration::from_secs(30);
/// How long a server may take to end after SIGTERM, before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Most bytes of the line in which a server says where it listens.
const MAX_LINE: u64 = 4096;
/// How much of what a server said at last an error shows, in bytes.
const LAST_WORDS: usize = 1500;

/// What a server says once it serves.
#[derive(Debug, Clone, Deserialize)]
struct Ready {
    http: SocketAddr,
    #[serde(default)]
    p2p: Option<String>,
    #[serde(default)]
    pid: Option<u32>,
}

/// Every folder that there is, with the child that uses it, so that a signal can end and remove them all.
static ALIVE: Mutex<Vec<Left>> = Mutex::new(Vec::new());

/// What a server would leave behind.
#[derive(Debug)]
struct Left {
    folder: PathBuf,
    process: Option<i32>,
}

/// How a server tells where it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// By a line of JSON on its standard output, once it serves.
    Itself,
    /// It was told where; whoever started it finds out when.
    Nothing(SocketAddr),
}

/// A server that serves; dropping it kills the process and removes its data.
#[derive(Debug)]
pub(crate) struct Node {
    name: String,
    child: Child,
    folder: Folder,
    /// Where it serves HTTP.
    pub(crate) http: SocketAddr,
    /// Where peers reach it, with its id.
    pub(crate) p2p: Option<String>,
}

impl Node {
    /// Starts a program; `command` is given the folder for its data, which nothing else uses.
    ///
    /// An error says what the server said at last.
    pub(crate) fn start(
        name: &str,
        command: impl FnOnce(&Path) -> Command,
        says: Says,
        below: &Path,
    ) -> Result<Self, String> {
        let folder =
            Folder::new(below).map_err(|error| format!("no folder for the data of {name}: {error}"))?;
        let mut command = command(&folder.path);
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |error: io::Error| format!("cannot run {program} for {name}: {error}");
        command.stdin(Stdio::null()).stderr(File::create(folder.log()).map_err(failed)?);
        command.stdout(if says == Says::Itself { Stdio::piped() } else { Stdio::null() });
        let child = spawn(&mut command, &folder).map_err(failed)?;
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut node = Self { name: name.to_owned(), child, folder, http: nowhere, p2p: None };
        match says {
            Says::Itself => node.read_where()?,
            Says::Nothing(address) => node.http = address,
        }
        Ok(node)
    }

    fn read_where(&mut self) -> Result<(), String> {
        let said = self.child.stdout.take();
        let line = said.map_or_else(|| Err("no output".to_owned()), first_line);
        let ready = line.and_then(|line| {
            serde_json::from_str::<Ready>(&line)
                .map_err(|error| format!("{error} in its first line {line:?}"))
        });
        let name = &self.name;
        let ready =
            ready.map_err(|error| format!("{name} did not get ready: {error}{}", self.last_words()))?;
        if ready.pid.is_some_and(|pid| pid != self.pid()) {
            return Err(format!("{name} is the process {}, and says it is {:?}", self.pid(), ready.pid));
        }
        (self.http, self.p2p) = (ready.http, ready.p2p);
        Ok(())
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error with its last words when the server has ended, which it never should by itself.
    pub(crate) fn check_alive(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                self.folder.used_by(None);
                Err(format!("{} ended by itself with {status}{}", self.name, self.last_words()))
            }
            Err(error) => Err(format!("{} cannot be watched: {error}", self.name)),
        }
    }

    fn last_words(&self) -> String {
        let said = fs::read(self.folder.log()).unwrap_or_default();
        let last = String::from_utf8_lossy(&said[said.len().saturating_sub(LAST_WORDS)..]);
        if last.trim().is_empty() { String::new() } else { format!("\nit said at last: {}", last.trim()) }
    }

    fn wait_for_end(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // From here on only this kills it: an id that has been waited for may be another's. Should this process end
        // meanwhile, the kernel kills the child.
        self.folder.used_by(None);
        if let (Ok(pid), Ok(None)) = (i32::try_from(self.pid()), self.child.try_wait()) {
            // SAFETY: kill takes two integers; the child has not been waited for, so the id is still its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
            self.wait_for_end(STOP_WITHIN);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn alive() -> MutexGuard<'static, Vec<Left>> {
    // The list is whole at every moment, so a panic elsewhere leaves it as it was.
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the process of a command run with a priority that is lower by so much.
pub(crate) fn lower_priority(command: &mut Command, nice: i32) {
    // SAFETY: setpriority takes integers and may be called between fork and exec; 0 is the calling process.
    unsafe {
        command.pre_exec(move || match libc::setpriority(libc::PRIO_PROCESS, 0, nice) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

/// Spawns a child that dies with this process, and notes that it uses this folder.
fn spawn(command: &mut Command, folder: &Folder) -> io::Result<Child> {
    // SAFETY: prctl with these two integers touches no memory of ours and may be called between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
    let child = command.spawn()?;
    folder.used_by(i32::try_from(child.id()).ok());
    Ok(child)
}

/// The first line that a child says, or why there is none.
fn first_line(output: impl Read + Send + 'static) -> Result<String, String> {
    let (tell, told) = mpsc::channel();
    // It ends with the child's output, which ends with the child.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(output).take(MAX_LINE).read_line(&mut line);
        let _ = tell.send(read.map(|_| line));
    });
    match told.recv_timeout(START_WITHIN) {
        Ok(Ok(line)) if line.ends_with('\n') => Ok(line.trim().to_owned()),
        Ok(Ok(_)) => Err("it ended without saying where it listens".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("it did not say within {START_WITHIN:?} where it listens")),
    }
}

/// From now on SIGINT, SIGTERM and SIGHUP kill all children, remove their data and end this process.
pub(crate) fn end_all_on_signals() -> Result<(), String> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]);
    let mut signals = signals.map_err(|error| format!("signals cannot be handled: {error}"))?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            end_all();
            // The shell's convention for a process that a signal ended.
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

fn end_all() {
    for left in alive().drain(..) {
        if let Some(process) = left.process {
            // SAFETY: both take integers and a null pointer; who waits for a child takes it off the list first, under
            // the same lock.
            unsafe {
                libc::kill(process, libc::SIGKILL);
                libc::waitpid(process, std::ptr::null_mut(), 0);
            }
        }
        let _ = fs::remove_dir_all(&left.folder);
    }
}

/// A folder of one server's data, gone with it.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new(below: &Path) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = below.join(format!("ringmesh-compare-{}-{number}", std::process::id()));
        let mut alive = alive();
        DirBuilder::new().mode(0o700).create(&path)?;
        alive.push(Left { folder: path.clone(), process: None });
        Ok(Self { path })
    }

    /// Notes which child uses the folder.
    fn used_by(&self, process: Option<i32>) {
        if let Some(left) = alive().iter_mut().find(|left| left.folder == self.path) {
            left.process = process;
        }
    }

    fn log(&self) -> PathBuf {
        self.path.join("log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let mut alive = alive();
        // What is left over lies in a folder for such things.
        let _ = fs::remove_dir_all(&self.path);
        alive.retain(|left| left.folder != self.path);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use super::*;

    fn shell(script: &str) -> Result<Node, String> {
        let command = |folder: &Path| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script, "sh"]).arg(folder);
            command
        };
        Node::start("shell", command, Says::Itself, &std::env::temp_dir())
    }

    const SERVES: &str = r#"echo x >"$1"/data; echo '{"http":"127.0.0.1:81","p2p":"/ip4/127.0.0.1/tcp/4/p2p/x","pid":'$$'}'; exec sleep 1000"#;

    #[test]
    fn dropping_a_node_ends_the_process_and_removes_its_data() {
        let mut node = shell(SERVES).unwrap();
        assert_eq!((node.http.port(), node.p2p.as_deref()), (81, Some("/ip4/127.0.0.1/tcp/4/p2p/x")));
        node.check_alive().unwrap();
        let (pid, folder) = (node.pid(), node.folder.path.clone());
        assert!(folder.join("data").exists());
        drop(node);
        assert!(!folder.exists());
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert!(!alive().iter().any(|left| left.folder == folder));
    }

    #[test]
    fn a_server_that_does_not_get_ready_is_an_error_with_its_last_words() {
        let silent = shell("echo the disk is full >&2; exit 3").unwrap_err();
        assert!(
            silent.contains("without saying where it listens") && silent.contains("the disk is full"),
            "{silent}"
        );
        let odd = shell("echo hello; exec sleep 1000").unwrap_err();
        assert!(odd.contains("hello"), "{odd}");
        let other = shell(r#"echo '{"http":"127.0.0.1:81","pid":1}'; exec sleep 1000"#).unwrap_err();
        assert!(other.contains("says it is"), "{other}");
    }

    #[test]
    fn a_server_that_ends_is_noticed() {
        let mut node = shell(r#"echo '{"http":"127.0.0.1:81"}'; echo gone >&2; exit 5"#).unwrap();
        assert!(node.wait_for_end(Duration::from_secs(10)).is_some());
        let error = node.check_alive().unwrap_err();
        assert!(error.contains("ended by itself") && error.contains("gone"), "{error}");
    }
}
