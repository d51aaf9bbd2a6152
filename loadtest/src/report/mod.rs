//! Reports: `report.json`, a histogram in text form for each run, and a page that shows it all by itself.

mod environment;
mod hgrm;
mod model;
mod page;
#[cfg(test)]
mod sample;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) use environment::Environment;
pub(crate) use model::{Comparison, Load, Report};

/// The files of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) page: PathBuf,
    pub(crate) json: PathBuf,
}

/// Makes sure that there is a folder that can be written to, before anything is measured.
///
/// # Errors
/// What the system says, with the folder's name.
pub(crate) fn prepare(dir: &Path) -> Result<(), String> {
    let probe = dir.join(format!(".ringmesh-loadtest-{}", std::process::id()));
    let possible =
        fs::create_dir_all(dir).and_then(|()| fs::write(&probe, b"")).and_then(|()| fs::remove_file(&probe));
    possible.map_err(|error| format!("no report can be written to {}: {error}", dir.display()))
}

/// Writes a report into `dir`, which is made where it is not there.
///
/// # Errors
/// What the system says, with the file's name.
pub(crate) fn write(dir: &Path, report: &Report) -> Result<Written, String> {
    let failed = |path: &Path, error: io::Error| format!("cannot write {}: {error}", path.display());
    let put = |name: &str, text: &str| -> Result<PathBuf, String> {
        let path = dir.join(name);
        fs::write(&path, text).map_err(|error| failed(&path, error))?;
        Ok(path)
    };
    fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    for run in &report.runs {
        put(&run.latency.file, &hgrm::text(&run.histogram))?;
    }
    let json = serde_json::to_string_pretty(report).map_err(|error| error.to_string())?;
    Ok(Written { json: put("report.json", &json)?, page: put("index.html", &page::html(report))? })
}

#[cfg(test)]
mod tests;
