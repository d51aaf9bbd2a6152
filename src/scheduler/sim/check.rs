//! What must hold at the end of a seed.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Image, Status, owner};
use super::world::World;

impl World {
    fn images(&self) -> Vec<BTreeMap<String, Image>> {
        let living = self.nodes.iter().filter(|node| !node.is_dead);
        living
            .map(|node| {
                let ids = (0..self.plan.tasks).map(|task| format!("task-{task}"));
                ids.filter_map(|id| Some((id.clone(), node.scheduler.task(&id)?.clone()))).collect()
            })
            .collect()
    }

    /// Whether all living nodes have completed what any of them knows, and agree.
    pub(super) fn is_done(&self) -> bool {
        let images = self.images();
        images.windows(2).all(|pair| pair[0] == pair[1])
            && images[0].values().all(|image| image.state.status() == Status::Completed)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let images = self.images();
        let known: BTreeSet<&String> = images.iter().flat_map(|images| images.keys()).collect();
        for (task, node) in &self.submitted {
            if !self.nodes[*node].is_dead && !known.contains(task) {
                return Err(format!("{task}, which node {node} took, is lost"));
            }
        }
        for task in known {
            let all: Vec<_> = images.iter().map(|images| images.get(task)).collect();
            let Some(first) = all[0] else { return Err(format!("a node does not know {task}")) };
            self.check_task(task, first, &all)?;
        }
        for node in self.nodes.iter().filter(|node| !node.is_dead) {
            let is_undone = |task: &&String| {
                node.scheduler.task(task).is_none_or(|image| image.state.completion.is_none())
            };
            if let Some(task) = node.promised.iter().find(is_undone) {
                return Err(format!("the completion of {task} was undone"));
            }
        }
        if self.plan.is_faulty() {
            return Ok(());
        }
        match self.runs.iter().find(|(_, runs)| **runs != 1) {
            Some((task, runs)) => Err(format!("{task} was given out {runs} times without a fault")),
            None if self.runs.len() as u64 != self.plan.tasks => Err("a task was never given out".to_owned()),
            None => Ok(()),
        }
    }

    fn check_task(&self, task: &str, first: &Image, all: &[Option<&Image>]) -> Result<(), String> {
        for image in all {
            let Some(image) = image else { return Err(format!("a node does not know {task}")) };
            if image.task.owner() != first.task.owner() || image.task != first.task {
                return Err(format!("nodes disagree about the owner of {task}"));
            }
            let winner = |image: &Image| image.state.completion.as_ref().map(|done| done.token.clone());
            if winner(image) != winner(first) {
                return Err(format!("nodes disagree about the winner of {task}"));
            }
            if image.state != first.state {
                return Err(format!("nodes disagree about the state of {task}"));
            }
        }
        let spec = &first.task;
        let members = spec.members.iter().map(|member| &**member);
        if owner(&spec.clock_root, &spec.task_hash(), members) != Some(spec.owner()) {
            return Err(format!("{task} has a wrong owner"));
        }
        match first.state.status() {
            Status::Completed => Ok(()),
            status => Err(format!("{task} is {status:?} at the end")),
        }
    }
}
