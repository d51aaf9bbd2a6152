//! `compare` leaves nothing behind, whichever way it ends: no process and no data.

#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that is gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ringmesh-test-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join("data")).unwrap();
        Self(path)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// A stand-in for this program as a server: it notes its process id among its data and then does as `then` says.
    fn stand_in(&self, then: &str) -> PathBuf {
        let path = self.0.join("serve.sh");
        let script = format!(
            "#!/bin/sh\nfor word in \"$@\"; do [ \"$last\" = --data-dir ] && folder=$word; last=$word; done\n\
             echo $$ >\"$folder/pid\"\n{then}\n"
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// The processes that noted their ids.
    fn processes(&self) -> Vec<String> {
        let servers = fs::read_dir(self.data()).unwrap().flatten();
        let noted = servers.filter_map(|server| fs::read_to_string(server.path().join("pid")).ok());
        noted.map(|pid| pid.trim().to_owned()).filter(|pid| !pid.is_empty()).collect()
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(self.data()).unwrap().next().is_none()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn compare(folder: &Folder, program: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmesh-loadtest"));
    command.args(["compare", "--quick", "--data-dir"]).arg(folder.data()).arg("--program").arg(program);
    command.arg("--out").arg(folder.0.join("out")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_gone(process: &str) -> bool {
    !Path::new("/proc").join(process).exists()
}

/// Lets the remote node serve and the next server hang; then sends `signal`.
fn signalled(name: &str, signal: i32) -> Output {
    let folder = Folder::new(name);
    let program = folder.stand_in(
        "case \"$*\" in *--remote*) exec sleep 1000;; esac\n\
         echo '{\"http\":\"127.0.0.1:9\",\"p2p\":\"/ip4/127.0.0.1/tcp/9/p2p/x\"}'; exec sleep 1000",
    );
    let compare = compare(&folder, &program);
    until("two servers run", || folder.processes().len() == 2);
    let processes = folder.processes();
    // SAFETY: kill takes two integers; the child has not been waited for, so the id is its own.
    unsafe { libc::kill(compare.id().cast_signed(), signal) };
    let output = compare.wait_with_output().unwrap();
    until("the servers are gone", || processes.iter().all(|process| is_gone(process)));
    if signal != libc::SIGKILL {
        assert!(folder.is_empty(), "data was left behind");
    }
    output
}

#[test]
fn an_interrupt_ends_all_servers_and_removes_their_data() {
    assert_eq!(signalled("interrupt", libc::SIGINT).status.code(), Some(130));
    assert_eq!(signalled("terminate", libc::SIGTERM).status.code(), Some(143));
}

#[test]
fn no_server_outlives_a_comparison_that_is_killed() {
    assert_eq!(signalled("kill", libc::SIGKILL).status.signal(), Some(libc::SIGKILL));
}

#[test]
fn a_server_that_does_not_start_is_an_error_that_leaves_nothing_behind() {
    let folder = Folder::new("error");
    let program = folder.stand_in(
        "case \"$*\" in *--remote*) echo 'no room for me' >&2; exit 4;; esac\n\
         echo '{\"http\":\"127.0.0.1:9\",\"p2p\":\"/ip4/127.0.0.1/tcp/9/p2p/x\"}'; exec sleep 1000",
    );
    let output = compare(&folder, &program).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("native did not get ready") && said.contains("no room for me"), "{said}");
    assert!(folder.is_empty(), "data was left behind");
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_before_anything_is_started() {
    let folder = Folder::new("unwritable");
    fs::write(folder.0.join("out"), "a file").unwrap();
    let program = folder.stand_in(&format!("echo >{}/started; exit 4", folder.0.display()));
    let output = compare(&folder, &program).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no report can be written to") && !folder.0.join("started").exists(), "{said}");
}

#[test]
fn a_comparison_whose_report_cannot_be_written_shows_its_tables_all_the_same() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() < 2) {
        // This form of a comparison needs a core for each side.
        return;
    }
    let folder = Folder::new("unwritten");
    let out = folder.0.join("out");
    fs::create_dir_all(out.join("compare.md")).unwrap();
    let program = env!("CARGO_BIN_EXE_ringmesh-loadtest");
    let server = format!("one={program} serve native --listen 127.0.0.1:{{port}} --cpus {{cpu}}");
    let output = Command::new(program)
        .args(["compare", "--server", &server, "--loads", "2", "--rounds", "1", "--duration-s", "0.2"])
        .args(["--warmup-s", "0.1", "--idle-s", "0", "--out"])
        .arg(&out)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write to"), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("| one |"), "{said}");
}
