//! Small files that hold secrets: read only where nobody else can.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Whether the last part of a path may be a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// It may: a person named the path.
    Follow,
    /// It may not: the path lies in a directory of ours.
    Refuse,
}

/// What a file of at most `max_bytes` holds, or `None` where there is none. It blocks; call it before an executor runs.
///
/// # Errors
/// A sentence without its subject, as in "it is empty": the file cannot be read, is no regular file, others may read or
/// write it, or its length is not from 1 to `max_bytes`.
pub fn read_private(path: &Path, links: Links, max_bytes: u64) -> Result<Option<Vec<u8>>, String> {
    let unreadable = |error| format!("it cannot be read: {error}");
    let no_follow = if links == Links::Refuse { libc::O_NOFOLLOW } else { 0 };
    let mut options = OpenOptions::new();
    let file = match options.read(true).custom_flags(no_follow | libc::O_NONBLOCK).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
        Ok(file) => file,
    };
    check(&file, max_bytes)?;
    let mut content = Vec::new();
    // It may have grown since it was looked at.
    file.take(max_bytes).read_to_end(&mut content).map_err(unreadable)?;
    Ok(Some(content))
}

fn check(file: &File, max_bytes: u64) -> Result<(), String> {
    let found = file.metadata().map_err(|error| format!("it cannot be looked at: {error}"))?;
    if !found.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(format!("others may read or write it (mode {mode:04o}); chmod 600 it"));
    }
    match found.len() {
        0 => Err("it is empty".to_owned()),
        len if len > max_bytes => Err(format!("it has {len} bytes, but at most {max_bytes} are allowed")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn write(path: &Path, content: &[u8], mode: u32) {
        std::fs::write(path, content).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_a_small_file_of_its_own_user_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let read = |max| read_private(&path, Links::Refuse, max);
        assert_eq!(read(4), Ok(None));
        for mode in [0o600, 0o400] {
            write(&path, b"four", mode);
            assert_eq!(read(4), Ok(Some(b"four".to_vec())));
            std::fs::remove_file(&path).unwrap();
        }
        write(&path, b"fiver", 0o600);
        assert_eq!(read(4).unwrap_err(), "it has 5 bytes, but at most 4 are allowed");
        write(&path, b"", 0o600);
        assert_eq!(read(4).unwrap_err(), "it is empty");
        for mode in [0o640, 0o604, 0o620, 0o602] {
            write(&path, b"four", mode);
            let error = read(4).unwrap_err();
            assert!(error.contains(&format!("mode {mode:04o}")) && error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn links_are_followed_only_where_that_is_asked_for_and_devices_never_read() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("secret"), folder.path().join("link"));
        write(&path, b"four", 0o600);
        symlink(&path, &link).unwrap();
        assert_eq!(read_private(&link, Links::Follow, 4), Ok(Some(b"four".to_vec())));
        assert!(read_private(&link, Links::Refuse, 4).is_err());
        assert!(read_private(Path::new("/dev/zero"), Links::Follow, 4).unwrap_err().contains("not a file"));
        assert!(read_private(folder.path(), Links::Follow, 4).unwrap_err().contains("not a file"));
    }
}
