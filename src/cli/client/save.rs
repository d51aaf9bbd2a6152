//! `--save DIR`: pictures, sounds and other bytes become files.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Names tried for one file before it is given up.
const MAX_TRIES: u32 = 10_000;

/// Where bytes are saved.
#[derive(Debug, Clone)]
pub(super) struct Directory(pub(super) PathBuf);

impl Directory {
    /// Writes a new file, `kind-1.png` or the next free number. No file is ever overwritten, and nothing of the server's
    /// goes into the name.
    pub(super) fn save(&self, kind: &str, mime_type: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.0)?;
        let extension = extension(mime_type);
        for number in 1..=MAX_TRIES {
            let path = self.0.join(format!("{kind}-{number}.{extension}"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(mut file) => return file.write_all(bytes).map(|()| path),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(ErrorKind::AlreadyExists, format!("{MAX_TRIES} such files are there already")))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

fn extension(mime_type: &str) -> &'static str {
    let essence = mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "image/svg+xml" => "svg",
        "audio/wav" | "audio/x-wav" => "wav",
        "audio/mpeg" => "mp3",
        "audio/ogg" => "ogg",
        "audio/flac" => "flac",
        "application/pdf" => "pdf",
        "application/json" => "json",
        "application/zip" => "zip",
        "text/html" => "html",
        "text/csv" => "csv",
        "text/markdown" => "md",
        text if text.starts_with("text/") => "txt",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_numbered_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let save = Directory(directory.path().join("new"));
        let first = save.save("image", "image/PNG; x=y", b"1").unwrap();
        let second = save.save("image", "image/png", b"2").unwrap();
        assert_eq!(first.file_name().unwrap(), "image-1.png");
        assert_eq!(second.file_name().unwrap(), "image-2.png");
        assert_eq!(fs::read(first).unwrap(), b"1");
        assert!(save.save("resource", "../../etc/passwd", b"3").unwrap().ends_with("new/resource-1.bin"));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Directory(file.path().join("x")).save("image", "image/png", b"").is_err());
    }
}
