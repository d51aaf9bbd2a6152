//! The arguments of `docker run`.

use serde_json::{Map, Value};

use super::{Docker, fields, volumes};

/// `run …` for a payload. Options come with `=`, so that no value is read as another option; docker reads none after the
/// image.
pub(super) fn arguments(
    docker: &Docker,
    payload: &Map<String, Value>,
    name: &str,
    image: &str,
) -> Result<Vec<String>, String> {
    let mut arguments = vec!["run".to_owned(), "--rm".to_owned(), format!("--name={name}")];
    arguments.extend(docker.arguments.iter().cloned());
    if let Some(memory) = fields::text(payload, "memory_limit")? {
        let digits = memory.strip_suffix(['b', 'k', 'm', 'g', 'B', 'K', 'M', 'G']).unwrap_or(memory);
        if !is_digits(digits) {
            return Err("memory_limit must be a number with b, k, m or g at its end".to_owned());
        }
        arguments.push(format!("--memory={memory}"));
    }
    if let Some(cpus) = payload.get("cpu_limit").filter(|cpus| !cpus.is_null()) {
        let number = cpus.as_f64().or_else(|| cpus.as_str().and_then(|text| text.parse().ok()));
        let number = number.filter(|number| (0.001..=4_096.0).contains(number));
        let number = number.ok_or("cpu_limit must be a number of processors, from 0.001 to 4096")?;
        arguments.push(format!("--cpus={number}"));
    }
    if let Some(directory) = fields::text(payload, "working_dir")? {
        if !directory.starts_with('/') {
            return Err("working_dir must be an absolute path".to_owned());
        }
        arguments.push(format!("--workdir={directory}"));
    }
    for variable in fields::variables(payload, "environment")? {
        arguments.push(format!("--env={variable}"));
    }
    for (host, inside) in fields::map(payload, "volumes")? {
        arguments.push(volumes::mount(&host, &inside, &docker.allowed_volumes)?);
    }
    let mut entrypoint = fields::words(payload, "entrypoint")?.into_iter();
    if let Some(program) = entrypoint.next() {
        arguments.push(format!("--entrypoint={program}"));
    }
    arguments.push(image.to_owned());
    arguments.extend(entrypoint);
    arguments.extend(fields::words(payload, "command")?);
    Ok(arguments)
}

fn is_digits(text: &str) -> bool {
    (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}
