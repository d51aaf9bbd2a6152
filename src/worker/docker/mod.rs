//! Tasks that run containers: `docker.execute` and `docker.github`. Docker gets arguments, never a line for a shell, and
//! nothing that a payload says can become an option that the payload may not use.

mod build;
mod execute;
mod fields;
#[cfg(test)]
mod tests;
mod volumes;
mod words;

use std::path::PathBuf;

use super::plan::{DOCKER_CODES, Plan, Step};
use super::task::Task;

/// Runs an image of a registry.
pub const EXECUTE: &str = "docker.execute";
/// Builds an image from a git repository, and runs it.
pub const GITHUB: &str = "docker.github";

/// How containers are run.
#[derive(Debug, Clone)]
pub struct Docker {
    /// The docker program.
    pub program: PathBuf,
    /// Arguments of the operator's, put before what the task asks for.
    pub arguments: Vec<String>,
    /// Directories, canonical, below which volumes may lie. None allows no volume.
    pub allowed_volumes: Vec<PathBuf>,
}

impl Docker {
    /// Whether tasks of this type are containers.
    pub fn takes(task_type: &str) -> bool {
        task_type == EXECUTE || task_type == GITHUB
    }

    /// What to run for a task.
    ///
    /// # Errors
    /// A sentence that says what in the payload is wrong, and what is allowed.
    pub fn plan(&self, task: &Task) -> Result<Plan, String> {
        let name = format!("ringmesh-{}-{}", task.id, task.attempt);
        let mut steps = Vec::new();
        let mut cleanup = vec![self.step(vec!["rm".into(), "--force".into(), name.clone()])];
        let image = match task.task_type == GITHUB {
            true => {
                let tag = format!("ringmesh-task:{}", task.id.to_ascii_lowercase());
                steps.push(self.step(build::arguments(&task.payload, &tag)?));
                cleanup.push(self.step(vec!["image".into(), "rm".into(), "--force".into(), tag.clone()]));
                tag
            }
            false => fields::image(&task.payload)?,
        };
        let run = execute::arguments(self, &task.payload, &name, &image)?;
        steps.push(Step { gives_result: true, ..self.step(run) });
        Ok(Plan { steps, cleanup, remarks: fields::remarks(&task.payload), machine_codes: DOCKER_CODES })
    }

    fn step(&self, arguments: Vec<String>) -> Step {
        Step::program(&self.program, arguments)
    }
}
