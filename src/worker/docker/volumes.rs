//! Volumes: directories of this machine that a container may see, where the operator allows it.

use std::path::{Component, Path, PathBuf};

/// The `--mount` of one volume: `host` is a path of this machine, `inside` the container's path, with `:ro` or `:rw` at its
/// end if it says more.
///
/// # Errors
/// A sentence, for anything but an existing path below one of the allowed directories. Symbolic links are followed
/// first, and docker gets the path that they lead to.
pub(super) fn mount(host: &str, inside: &str, allowed: &[PathBuf]) -> Result<String, String> {
    let (inside, read_only) = match inside.rsplit_once(':') {
        Some((path, "ro")) => (path, true),
        Some((path, "rw")) => (path, false),
        Some(_) => {
            return Err(
                "a volume's place in the container is a path, then :ro or :rw if it says more".to_owned()
            );
        }
        None => (inside, false),
    };
    let plain = |path: &str| path.starts_with('/') && !path.contains([',', '"', '\n', '\r', ':', '\0']);
    let direct = |path: &str| !Path::new(path).components().any(|part| part == Component::ParentDir);
    if !plain(host) || !direct(host) {
        return Err(
            "a volume's host path must be absolute, without .. and without , : \" or line breaks".to_owned()
        );
    }
    if !plain(inside) || !direct(inside) || inside == "/" {
        let why = "a volume's place in the container must be an absolute path below /, without .. and without , : \" or line breaks";
        return Err(why.to_owned());
    }
    // One answer for all that is not allowed: it must not tell what there is on this machine.
    let refused = || {
        format!("the volume {host} is not below a directory that this worker allows (--docker-allow-volume)")
    };
    let real = std::fs::canonicalize(host).map_err(|_| refused())?;
    let real = real.to_str().filter(|real| plain(real)).ok_or_else(refused)?;
    if !allowed.iter().any(|prefix| Path::new(real).starts_with(prefix)) {
        return Err(refused());
    }
    let mode = if read_only { ",readonly" } else { "" };
    Ok(format!("--mount=type=bind,source={real},target={inside}{mode}"))
}
