//! `p2p_submit_task`, `p2p_get_next_task`, `p2p_mark_task_complete`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::Failure;
use super::ask::{Ask, Here};
use super::shapes::{CompleteShape, NextShape, SubmitShape};
use crate::scheduler::{self, CompleteAnswer, NextAnswer, SubmitAnswer};
use crate::tools::task_queue::Effect;

const DEFAULT_PRIORITY: i64 = 5;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Submit {
    /// Its id, which no task of this node or its peers has.
    task_id: String,
    /// The workflow that it belongs to.
    workflow_id: String,
    /// What it is called.
    name: String,
    /// Any of github-api, p2p-eligible, p2p-only, unit-test, code-generation, web-scraping, data-processing; others are
    /// kept too.
    tags: Option<Vec<String>>,
    /// 1 to 10, and 10 is given out first; default 5.
    priority: Option<i64>,
}

impl Ask for Submit {
    type Answer = SubmitAnswer;
    type Shape = SubmitShape;
    const NAME: &'static str = "p2p_submit_task";
    const TITLE: &'static str = "Submit a workflow task";
    const DESCRIPTION: &'static str =
        "Submits a task of a workflow; the peer that owns it by hash and clock gives it out";
    const EFFECT: Effect = Effect::Adds;

    async fn answer(self, here: &Here) -> Result<SubmitAnswer, Failure> {
        let submit = scheduler::Submit {
            task_id: self.task_id.into(),
            workflow_id: self.workflow_id.into(),
            name: self.name.into(),
            tags: self.tags.unwrap_or_default().into_iter().map(Box::from).collect(),
            priority: self.priority.unwrap_or(DEFAULT_PRIORITY),
        };
        let submitted = here.workflows.submit(submit).await?;
        here.node.tell(&submitted.owner);
        Ok(submitted.into())
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Next {}

impl Ask for Next {
    type Answer = NextAnswer;
    type Shape = NextShape;
    const NAME: &'static str = "p2p_get_next_task";
    const TITLE: &'static str = "Get the next workflow task";
    const DESCRIPTION: &'static str = "Gives out the first task that this node holds, by priority";
    const EFFECT: Effect = Effect::Adds;

    async fn answer(self, here: &Here) -> Result<NextAnswer, Failure> {
        Ok(here.workflows.next().await?.into())
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Complete {
    /// The task, which this node gave out.
    task_id: String,
}

impl Ask for Complete {
    type Answer = CompleteAnswer;
    type Shape = CompleteShape;
    const NAME: &'static str = "p2p_mark_task_complete";
    const TITLE: &'static str = "Complete a workflow task";
    const DESCRIPTION: &'static str = "Notes that a task is done; nothing undoes that";
    const EFFECT: Effect = Effect::Notes;

    async fn answer(self, here: &Here) -> Result<CompleteAnswer, Failure> {
        let already_completed = here.workflows.complete(&self.task_id).await?;
        if let Some(submitter) = here.workflows.submitter(&self.task_id).filter(|_| !already_completed) {
            here.node.tell(&submitter);
        }
        Ok(CompleteAnswer::new(self.task_id, already_completed))
    }
}
