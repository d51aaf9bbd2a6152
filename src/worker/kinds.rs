//! What is run for which task: docker for its own types, the user's command for the rest.

use super::docker::Docker;
use super::plan::{self, Plan};
use super::task::Task;

/// What a worker can run.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    /// The command of everything but containers.
    pub command: Option<String>,
    /// How containers are run, where they are.
    pub docker: Option<Docker>,
}

impl Kinds {
    /// What to run for a task.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the task, or that this worker runs no such thing.
    pub fn plan(&self, task: &Task) -> Result<Plan, String> {
        if task.omitted.iter().any(|part| part == "payload") {
            return Err("the payload is too long for the server's answer".to_owned());
        }
        match (&self.docker, &self.command) {
            (Some(docker), _) if Docker::takes(&task.task_type) => docker.plan(task),
            (None, _) if Docker::takes(&task.task_type) => {
                Err(format!("this worker runs no containers: {} needs --docker", task.task_type))
            }
            (_, Some(command)) => Ok(plan::command(command, task)),
            (_, None) => Err(format!("this worker has no command for tasks of type {}", task.task_type)),
        }
    }
}
