//! What a change costs to be appended to the journal and acknowledged, on the disk of the temporary folder: alone, and in
//! company. Mode `none` acknowledges what the kernel has; mode `always` waits for the medium.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_lite::future::zip;
use ringmesh::journal::{Mode, Record, Settings, open};
use ringmesh::runtime::log_file::JournalFolder;
use ringmesh::runtime::{ExecutorSettings, prepare_process, sleep, spawn_executor, warm_up};

/// The record of a small task.
const RECORD_BYTES: usize = 220;

/// How long so many appends take, `at_once` of them waiting together.
fn append(mode: Mode, appends: u64, at_once: u64) -> Duration {
    let folder = tempfile::tempdir().expect("the system has a folder for temporary files");
    let path = folder.path().join("journal");
    let main = move || async move {
        warm_up().await;
        let folder = JournalFolder::open(&path).expect("the folder can be made");
        let settings = Settings { mode, salt: 1, ..Settings::default() };
        let journal = open(&folder.blocking(), settings).await.expect("an empty journal opens").journal;
        let (log, driver) = journal.start_log(0, folder, sleep).await.expect("the log starts");
        let work = async {
            let begun = Instant::now();
            for first in (1..=appends).step_by(at_once as usize) {
                let records = first..(first + at_once).min(appends + 1);
                let waiting: Vec<_> = records
                    .map(|sequence| Record { sequence, kind: 1, bytes: vec![7; RECORD_BYTES] })
                    .map(|record| log.append(record, true).expect("there is room"))
                    .collect();
                for durable in waiting {
                    durable.await.expect("the disk takes it");
                }
            }
            let taken = begun.elapsed();
            log.stop();
            taken
        };
        let (taken, ended) = zip(work, driver.run()).await;
        ended.expect("the journal ends in order");
        taken
    };
    let executor = spawn_executor(None, "journal", &ExecutorSettings::default(), main);
    executor.expect("an executor starts").join().expect("it ends without a panic")
}

fn appends(criterion: &mut Criterion) {
    prepare_process();
    let mut group = criterion.benchmark_group("journal append");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(2));
    for (mode, name) in [(Mode::None, "none"), (Mode::Always, "always")] {
        for at_once in [1, 64] {
            group.bench_function(format!("mode {name}, {at_once} at once"), |bench| {
                bench.iter_custom(|appends| append(mode, appends, at_once));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, appends);
criterion_main!(benches);
