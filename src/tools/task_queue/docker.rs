//! `p2p_taskqueue_submit_docker_hub` and `p2p_taskqueue_submit_docker_github`: tasks that run a container. The payloads
//! are those of the workers that exist.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use super::answer::Refused;
use super::ask::{Ask, Effect, PATIENCE, Request};
use super::node::Target;
use super::shapes::TaskIdAnswer;
use super::values::{AnyObject, TextMap, TextOrList, texts};
use crate::mcp::json::{self, Object};

/// An image of a registry.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct DockerHub {
    /// The image, such as alpine:3.
    image: String,
    /// What to run in it, instead of the image's own command.
    command: Option<TextOrList>,
    /// Instead of the image's own entry point.
    entrypoint: Option<TextOrList>,
    /// Environment variables.
    environment: Option<TextMap>,
    /// Volumes: paths of the worker's machine, and where they are in the container.
    volumes: Option<TextMap>,
    /// Multiaddr of the peer to submit to, ending in /p2p/ID. Without it and remote_peer_id: this node.
    remote_multiaddr: Option<String>,
    /// Id of the peer to submit to.
    remote_peer_id: Option<String>,
    /// More members of the payload, such as memory_limit or priority.
    extra: Option<AnyObject>,
}

/// A repository that an image is built from.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct DockerGithub {
    /// The repository's URL.
    repo_url: String,
    /// Its branch; default main.
    branch: Option<String>,
    /// The Dockerfile in it; default Dockerfile.
    dockerfile_path: Option<String>,
    /// The folder that is built; default the whole of it.
    context_path: Option<String>,
    /// What to run in it, instead of the image's own command.
    command: Option<TextOrList>,
    /// Instead of the image's own entry point.
    entrypoint: Option<TextOrList>,
    /// Environment variables.
    environment: Option<TextMap>,
    /// Arguments of the build.
    build_args: Option<TextMap>,
    /// Multiaddr of the peer to submit to, ending in /p2p/ID. Without it and remote_peer_id: this node.
    remote_multiaddr: Option<String>,
    /// Id of the peer to submit to.
    remote_peer_id: Option<String>,
    /// More members of the payload, such as memory_limit or priority.
    extra: Option<AnyObject>,
}

impl Ask for DockerHub {
    type Answer = TaskIdAnswer;
    const NAME: &'static str = "p2p_taskqueue_submit_docker_hub";
    const TITLE: &'static str = "Submit a container";
    const DESCRIPTION: &'static str = "Submits a task that runs an image of a registry in a container";
    const EFFECT: Effect = Effect::Adds;

    fn target(&self) -> Target {
        Target::new(self.remote_multiaddr.as_deref(), self.remote_peer_id.as_deref())
    }

    fn request(&self) -> Result<Request, Refused> {
        not_empty("image", &self.image)?;
        let mut payload = Payload::new(self.extra.as_ref());
        payload.put("image", &self.image);
        payload.maybe("command", self.command.as_ref());
        payload.maybe("entrypoint", self.entrypoint.as_ref());
        payload.map("environment", self.environment.as_ref());
        payload.map("volumes", self.volumes.as_ref());
        Ok(payload.submit("docker.execute"))
    }
}

impl Ask for DockerGithub {
    type Answer = TaskIdAnswer;
    const NAME: &'static str = "p2p_taskqueue_submit_docker_github";
    const TITLE: &'static str = "Submit a build";
    const DESCRIPTION: &'static str =
        "Submits a task that builds an image from a repository and runs it in a container";
    const EFFECT: Effect = Effect::Adds;

    fn target(&self) -> Target {
        Target::new(self.remote_multiaddr.as_deref(), self.remote_peer_id.as_deref())
    }

    fn request(&self) -> Result<Request, Refused> {
        not_empty("repo_url", &self.repo_url)?;
        let mut payload = Payload::new(self.extra.as_ref());
        payload.put("repo_url", &self.repo_url);
        payload.put("branch", self.branch.as_deref().unwrap_or("main"));
        payload.put("dockerfile_path", self.dockerfile_path.as_deref().unwrap_or("Dockerfile"));
        payload.put("context_path", self.context_path.as_deref().unwrap_or("."));
        payload.maybe("command", self.command.as_ref());
        payload.maybe("entrypoint", self.entrypoint.as_ref());
        payload.map("environment", self.environment.as_ref());
        payload.map("build_args", self.build_args.as_ref());
        Ok(payload.submit("docker.github"))
    }
}

fn not_empty(name: &str, text: &str) -> Result<(), Refused> {
    match text.trim().is_empty() {
        true => Err(Refused::new("invalid_field", format!("{name} is empty; it says what is to run"))),
        false => Ok(()),
    }
}

/// A payload while it is written. What is in `extra` wins over the argument of the same name, as with the clients that
/// exist.
struct Payload<'a> {
    members: Vec<u8>,
    extra: Option<&'a AnyObject>,
}

impl<'a> Payload<'a> {
    fn new(extra: Option<&'a AnyObject>) -> Payload<'a> {
        Payload { members: Vec::new(), extra }
    }

    fn put<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) {
        if self.extra.is_some_and(|extra| extra.contains_key(key)) {
            return;
        }
        let text = json::line(value).expect("invariant: texts, lists and maps of them are always JSON");
        self.member(key, &text);
    }

    fn maybe<T: Serialize>(&mut self, key: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    fn map(&mut self, key: &str, map: Option<&TextMap>) {
        self.maybe(key, map.map(texts).as_ref());
    }

    fn member(&mut self, key: &str, text: &str) {
        self.members.push(if self.members.is_empty() { b'{' } else { b',' });
        json::string(&mut self.members, key);
        self.members.push(b':');
        json::raw(&mut self.members, text);
    }

    fn submit(mut self, task_type: &str) -> Request {
        for (key, value) in self.extra.into_iter().flatten() {
            self.member(key, value.text());
        }
        self.members.push(b'}');
        let payload = String::from_utf8(self.members).expect("invariant: JSON text is UTF-8");
        let json = json::object(|object: &mut Object<'_>| {
            object.raw("op", "\"submit\"");
            object.string("task_type", task_type);
            object.raw("model_name", "\"docker\"");
            object.raw("payload", &payload);
        });
        Request { json, patience: PATIENCE }
    }
}
