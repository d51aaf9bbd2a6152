//! The arguments of `docker build` from a git repository.

use std::path::{Component, Path};

use serde_json::{Map, Value};

use super::fields;

/// `build …` for a payload, which names its image `tag`.
pub(super) fn arguments(payload: &Map<String, Value>, tag: &str) -> Result<Vec<String>, String> {
    let url = repository(
        fields::text(payload, "repo_url")?.ok_or("repo_url is missing: docker.github needs one")?,
    )?;
    let branch = fields::text(payload, "branch")?.unwrap_or("main");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    if branch.starts_with(['-', '/', '.']) || branch.contains("..") || !branch.bytes().all(plain) {
        return Err(
            "branch begins with a letter or digit, and has letters, digits and . _ - / only".to_owned()
        );
    }
    let context = inner_path("context_path", fields::text(payload, "context_path")?.unwrap_or("."))?;
    let file =
        inner_path("dockerfile_path", fields::text(payload, "dockerfile_path")?.unwrap_or("Dockerfile"))?;
    let mut arguments = vec!["build".to_owned(), format!("--tag={tag}"), "-f".to_owned(), file.to_owned()];
    for argument in fields::variables(payload, "build_args")? {
        arguments.push(format!("--build-arg={argument}"));
    }
    arguments.push(format!("{url}#{branch}:{context}"));
    Ok(arguments)
}

/// An https address that docker takes for a git repository: it tells by `.git` at the end, and would else fetch an archive.
/// Anything without a scheme would be a directory of this machine.
fn repository(url: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:~".contains(&byte);
    let rest = url
        .strip_prefix("https://")
        .filter(|rest| rest.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && rest.contains('/'));
    let rest = rest.filter(|rest| rest.len() <= 1_024 && rest.bytes().all(plain) && !rest.contains(".."));
    let rest = rest.map(|rest| rest.trim_end_matches('/'));
    let why =
        "repo_url must be https://host/path, with letters, digits and . _ - / : ~ only, and no user name";
    let rest = rest.ok_or(why)?;
    Ok(if rest.ends_with(".git") { format!("https://{rest}") } else { format!("https://{rest}.git") })
}

/// A path within the repository.
fn inner_path<'a>(name: &str, path: &'a str) -> Result<&'a str, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let inner =
        Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    match inner && !path.starts_with('-') && path.bytes().all(plain) {
        true => Ok(path),
        false => Err(format!(
            "{name} must be a path in the repository: letters, digits and . _ - / only, no .., no - in front"
        )),
    }
}
