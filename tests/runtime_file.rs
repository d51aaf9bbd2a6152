//! Files through the ring, on the directory that temporary files go to and on tmpfs where there is one.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod runtime_support;

use std::io;
use std::path::Path;

use ringmesh::runtime::file::{File, rename_durably, sync_directory};
use runtime_support::on_executor;

fn directories() -> Vec<tempfile::TempDir> {
    let mut directories = vec![tempfile::tempdir().unwrap()];
    if let Ok(memory) = tempfile::tempdir_in("/dev/shm") {
        directories.push(memory);
    }
    directories
}

#[test]
fn what_was_written_is_read_at_its_place() {
    on_executor(|| async {
        for directory in directories() {
            let path = directory.path().join("file");
            let file = File::create_new(&path).await.unwrap();
            assert!(file.is_empty().await.unwrap());
            let bytes: Vec<u8> = (0..3_000_000_u32).map(|index| (index / 13) as u8).collect();
            file.write_all_at(&bytes, 10).await.unwrap();
            file.write_all_at(b"head", 0).await.unwrap();
            file.sync_data().await.unwrap();
            assert_eq!(file.len().await.unwrap(), 3_000_010);
            assert_eq!(file.read_at(0, 12).await.unwrap(), b"head\0\0\0\0\0\0\0\0");
            assert!(file.read_at(10, 5_000_000).await.unwrap() == bytes);
            assert!(file.read_at(9_000_000, 10).await.unwrap().is_empty());
            file.close().await.unwrap();
            let again = File::open(&path).await.unwrap();
            assert_eq!(again.read_at(0, 4).await.unwrap(), b"head");
            again.close().await.unwrap();
        }
    });
}

#[test]
fn missing_and_existing_files_are_told_apart() {
    on_executor(|| async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert_eq!(File::open(&path).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        File::create_new(&path).await.unwrap().close().await.unwrap();
        assert_eq!(File::create_new(&path).await.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    });
}

#[test]
fn a_durable_rename_replaces_its_target() {
    on_executor(|| async {
        for directory in directories() {
            let at = |name: &str| directory.path().join(name);
            for (name, content) in [("old", "old"), ("new", "new")] {
                let file = File::create_new(at(name)).await.unwrap();
                file.write_all_at(content.as_bytes(), 0).await.unwrap();
                file.close().await.unwrap();
            }
            rename_durably(at("new"), at("old")).await.unwrap();
            assert_eq!(std::fs::read(at("old")).unwrap(), b"new");
            assert!(!at("new").exists());
            sync_directory(directory.path()).await.unwrap();
            assert!(rename_durably(at("new"), at("old")).await.is_err());
        }
        assert!(sync_directory(Path::new("/does/not/exist")).await.is_err());
    });
}
