//! The journal on real files: on the directory that temporary files go to, and on tmpfs where there is one.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod runtime_support;

use std::future::Future;
use std::path::Path;

use futures_lite::future::{block_on, zip};
use ringmesh::journal::{
    AppendError, Folder, JournalError, LogFile, Record, Recovered, Settings, dump, open, verify,
};
use ringmesh::runtime::log_file::JournalFolder;
use ringmesh::runtime::sleep;
use runtime_support::on_executor;

fn directories() -> Vec<tempfile::TempDir> {
    let mut directories = vec![tempfile::tempdir().unwrap()];
    directories.extend(tempfile::tempdir_in("/dev/shm"));
    directories
}

fn settings() -> Settings {
    let (segment_bytes, reserve_bytes, max_record_bytes) = (64 << 10, 16 << 10, 8 << 10);
    Settings { segment_bytes, reserve_bytes, max_record_bytes, salt: 77, ..Settings::default() }
}

fn record(sequence: u64) -> Record {
    Record { sequence, kind: 2, bytes: vec![sequence as u8; 300] }
}

/// A file of each layer does what the journal asks of it.
async fn keeps_its_promises<F: Folder>(folder: F) {
    let file = folder.create("a", 1 << 20).await.unwrap();
    assert!(folder.create("a", 0).await.is_err());
    assert_eq!(file.read_all().await.unwrap(), vec![0; 1 << 20]);
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|index| (index / 13) as u8).collect();
    let bytes = file.write_durably(bytes, 512).await.unwrap();
    file.write_at(b"head".to_vec(), 0).await.unwrap();
    file.sync_data().await.unwrap();
    drop(file);
    folder.rename("a", "b").await.unwrap();
    folder.sync().await.unwrap();
    let file = folder.open("b").await.unwrap();
    let all = file.read_all().await.unwrap();
    assert!(all[..4] == *b"head" && all[512..] == bytes);
    file.set_len(3).await.unwrap();
    assert_eq!(file.read_all().await.unwrap(), b"hea");
    assert!(folder.names().await.unwrap().contains(&"b".to_owned()));
    folder.remove("b").await.unwrap();
    assert_eq!(folder.open("b").await.err().unwrap().kind(), std::io::ErrorKind::NotFound);
    assert_eq!(folder.remove("b").await.unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn both_layers_keep_their_promises() {
    on_executor(|| async {
        for directory in directories() {
            let folder = JournalFolder::open(directory.path()).unwrap();
            keeps_its_promises(folder.clone()).await;
            keeps_its_promises(folder.blocking()).await;
        }
    });
}

fn recovered(path: &Path) -> Recovered {
    block_on(open(&JournalFolder::open(path).unwrap().blocking(), settings())).unwrap().recovered
}

/// Runs a log on this executor while `act` uses it.
async fn with_log<T>(path: &Path, act: impl AsyncFnOnce(&ringmesh::journal::Log) -> T) -> T {
    let folder = JournalFolder::open(path).unwrap();
    let journal = open(&folder.blocking(), settings()).await.unwrap().journal;
    let (log, driver) = journal.start_log(0, folder, sleep).await.unwrap();
    let test = async {
        let result = act(&log).await;
        log.stop();
        result
    };
    let (result, ended) = zip(test, driver.run()).await;
    ended.unwrap();
    result
}

/// The same place, named from the working directory.
fn relative(path: &Path) -> std::path::PathBuf {
    let here = std::env::current_dir().unwrap();
    let up = here.components().skip(1).map(|_| "..").collect::<std::path::PathBuf>();
    up.join(path.strip_prefix("/").unwrap())
}

#[test]
fn a_directory_may_be_named_from_the_working_directory() {
    on_executor(|| async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        with_log(&relative(&path), async |log| assert!(log.append(record(1), true).unwrap().await.is_ok()))
            .await;
        assert_eq!(recovered(&path).report.records, 1);
    });
}

async fn all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut results = Vec::new();
    for future in futures {
        results.push(future.await);
    }
    results
}

#[test]
fn what_was_acknowledged_is_found_at_the_next_start() {
    on_executor(|| async {
        for directory in directories() {
            let path = directory.path().join("journal");
            with_log(&path, async |log| {
                for first in (1..1_000).step_by(20) {
                    let waiting: Vec<_> = (first..first + 20)
                        .map(|sequence| log.append(record(sequence), true).unwrap())
                        .collect();
                    assert!(all(waiting).await.iter().all(Result::is_ok));
                }
                assert!(matches!(
                    log.append(Record { sequence: 1, kind: 0, bytes: vec![0; 9_000] }, true),
                    Err(AppendError::TooLarge(8_192))
                ));
            })
            .await;
            let found = recovered(&path);
            assert!(found.records().map(|record| record.to_record()).eq((1..1_001).map(record)));
            assert_eq!(found.report.cut_bytes, 0);
            let folder = JournalFolder::for_reading(&path).blocking();
            let mut count = 0;
            let report = dump(&folder, |_| count += 1).await.unwrap();
            assert_eq!((count, report.records), (1_000, 1_000));
            assert_eq!(verify(&folder).await.unwrap(), report);
        }
    });
}

#[test]
fn a_damaged_journal_is_refused_and_named() {
    on_executor(|| async {
        let directory = tempfile::tempdir().unwrap();
        with_log(directory.path(), async |log| {
            for sequence in 1..10 {
                log.append(record(sequence), true).unwrap().await.unwrap();
            }
        })
        .await;
        let segment = directory.path().join("log-00000001-0000-00000001.seg");
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes[2_000] ^= 4;
        std::fs::write(&segment, &bytes).unwrap();
        let error = verify(&JournalFolder::for_reading(directory.path()).blocking()).await.unwrap_err();
        assert!(matches!(&error, JournalError::Damaged { offset: 1_536, .. }), "{error}");
        assert!(error.to_string().contains("log-00000001-0000-00000001.seg at byte 1536"), "{error}");
    });
}

#[test]
fn a_journal_that_cannot_be_looked_at_is_named_and_nothing_waits_for_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |action: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ringmesh"));
        let output = command.args(["journal", action, "--data-dir"]).arg(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for action in ["verify", "dump"] {
        let (code, error) = ask(action);
        assert!(code == Some(1) && error.contains(folder.path().to_str().unwrap()), "{error}");
    }
    let journal = folder.path().join("journal");
    block_on(open(&JournalFolder::open(&journal).unwrap().blocking(), settings())).unwrap();
    let snapshot_or_log = std::fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path());
    let format =
        snapshot_or_log.filter(|path| path.file_name().is_some_and(|name| name != "lock")).min().unwrap();
    std::fs::remove_file(&format).unwrap();
    let name = std::ffi::CString::new(format.to_str().unwrap()).unwrap();
    // SAFETY: the name is a C string that lives through the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let (code, error) = ask("verify");
    assert!(code == Some(1) && error.contains("not a regular file"), "{error}");
}
