//! What nodes say to each other about workflow tasks, and the bounds that are checked before any of it is believed.
//!
//! `workflow.fetch` asks a node for what changed there since the asker looked last; its changes have an order, the feed.
//! `workflow.ack` says up to where the asker has all of it on its own disk. A heartbeat says where the feed ends.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::clock::MAX_NODE_ID_BYTES;
use super::mutant::{Mutant, is};
use super::rank::ranked;
use super::settings::Settings;
use super::task::{Image, Spec, Token};
use super::{ClockError, MerkleClock, PeerClock};

/// The longest name of a feed, in bytes; ours have 16.
const MAX_FEED_BYTES: usize = 64;

/// Where a node's feed ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// Which feed it is; each start of a node begins a new one.
    pub feed: Box<str>,
    /// The place of the last change.
    pub through: u64,
}

/// What a heartbeat carries for the scheduler, in its field `workflow`.
#[derive(Debug, Clone, Serialize)]
pub struct Beat {
    /// The clock.
    pub clock: MerkleClock,
    /// Where the feed ends.
    #[serde(flatten)]
    pub news: News,
}

/// A beat that came from a peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerBeat {
    /// Its clock.
    pub clock: PeerClock,
    /// Where its feed ends.
    pub news: News,
}

impl PeerBeat {
    /// Reads the JSON object that a peer sent; `max_clock_entries` bounds its clock.
    ///
    /// # Errors
    /// No such object, or a clock that cannot be read.
    pub fn read(json: &str, max_clock_entries: usize) -> Result<PeerBeat, ClockError> {
        // A flattened field cannot be beside a borrowed raw one, so the two are read apart.
        #[derive(Deserialize)]
        struct Clock<'a> {
            #[serde(borrow)]
            clock: &'a RawValue,
        }
        let bad = |message: &str| ClockError { message: message.to_owned(), is_over_limit: false };
        let news: News =
            serde_json::from_str(json).map_err(|_| bad("workflow is no object with feed and through"))?;
        let clock: Clock<'_> = serde_json::from_str(json).map_err(|_| bad("workflow has no clock"))?;
        if news.feed.len() > MAX_FEED_BYTES {
            return Err(bad("the name of the feed is too long"));
        }
        Ok(PeerBeat { clock: PeerClock::read(clock.clock.get(), max_clock_entries)?, news })
    }
}

/// The request of `workflow.fetch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// Who asks.
    pub peer_id: Box<str>,
    /// The feed that `after` belongs to; empty at first. Where it is another, the answer begins at the start.
    #[serde(default)]
    pub feed: Box<str>,
    /// The place up to which the asker knows everything.
    #[serde(default)]
    pub after: u64,
}

/// The answer to `workflow.fetch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// The feed.
    pub feed: Box<str>,
    /// The place after which `tasks` begin.
    pub after: u64,
    /// Tasks that changed after it, as they stand now.
    pub tasks: Vec<Image>,
    /// The place up to which `tasks` go.
    pub through: u64,
    /// Whether there is more.
    pub more: bool,
    /// Tasks of an answer that was read which were left out, because they are none.
    #[serde(skip)]
    pub unread: usize,
}

impl Fetched {
    /// Reads the JSON object that a peer answered. A task that is none is left out and counted: the peer may be newer, and
    /// would otherwise keep from this node all that comes after.
    ///
    /// # Errors
    /// It is no page of a feed.
    pub fn read(json: &str) -> Result<Fetched, &'static str> {
        #[derive(Deserialize)]
        struct Page<'a> {
            feed: Box<str>,
            after: u64,
            #[serde(borrow)]
            tasks: Vec<&'a RawValue>,
            through: u64,
            more: bool,
        }
        let page: Page<'_> = serde_json::from_str(json)
            .map_err(|_| "it has no feed, after, through, more and list of tasks")?;
        let read = |task: &&RawValue| serde_json::from_str::<Image>(task.get()).ok();
        let tasks: Vec<Image> = page.tasks.iter().filter_map(read).collect();
        let unread = page.tasks.len() - tasks.len();
        Ok(Fetched {
            feed: page.feed,
            after: page.after,
            tasks,
            through: page.through,
            more: page.more,
            unread,
        })
    }
}

/// The request of `workflow.ack`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Who asks.
    pub peer_id: Box<str>,
    /// The feed.
    pub feed: Box<str>,
    /// The place up to which it has everything.
    pub through: u64,
}

/// Checks what peers say. It does the hashing, so it is used outside of any lock.
#[derive(Debug, Clone)]
pub struct Verifier {
    pub(super) settings: Settings,
    pub(super) me: Arc<str>,
    pub(super) mutant: Option<Mutant>,
}

/// An answer to `workflow.fetch` within bounds.
#[derive(Debug, Clone)]
pub struct Verified {
    pub(super) fetched: Fetched,
    /// Tasks of it that were left out, those that could not be read among them.
    pub refused: usize,
}

impl Verifier {
    /// Leaves out every task that no node of ours would send.
    ///
    /// # Errors
    /// A page that is larger than any answer may be, or that ends before it begins.
    pub fn check(&self, mut fetched: Fetched) -> Result<Verified, &'static str> {
        if fetched.feed.len() > MAX_FEED_BYTES || fetched.through < fetched.after {
            return Err("the page has no place in a feed");
        }
        if fetched.tasks.len() > self.settings.max_fetch_tasks {
            return Err("the page has more tasks than max_fetch_tasks allows");
        }
        let before = fetched.tasks.len();
        let mut ids = HashSet::new();
        fetched.tasks.retain(|image| self.is_sound(image) && ids.insert(image.task.task_id.clone()));
        drop(ids);
        fetched.tasks.iter_mut().for_each(|image| self.rank(image));
        let refused = before - fetched.tasks.len() + fetched.unread;
        Ok(Verified { fetched, refused })
    }

    fn is_sound(&self, image: &Image) -> bool {
        let spec = &*image.task;
        let settings = &self.settings;
        let names = [&spec.submitter, &spec.task_id, &spec.clock_root];
        let texts = [&spec.workflow_id, &spec.name];
        let marks = image.state.mark.iter().map(|mark| &mark.token);
        let mut tokens = marks.chain(image.state.completion.iter().map(|done| &done.token));
        let is_name = |name: &str| !name.is_empty() && name.len() <= settings.max_name_bytes;
        let is_peer = |name: &str| !name.is_empty() && name.len() <= MAX_NODE_ID_BYTES;
        names.into_iter().chain(&spec.tags).all(|name| is_name(name))
            && texts.into_iter().all(|text| text.len() <= settings.max_name_bytes)
            && (1..=10).contains(&spec.priority)
            && spec.tags.len() <= settings.max_tags
            && (1..=settings.max_epoch_members).contains(&spec.members.len())
            && spec.members.iter().all(|member| is_peer(member))
            && tokens.all(|token| is_peer(&token.peer_id) && token.counter <= Token::MAX_COUNTER)
    }

    /// Puts the members into their order, whatever the peer said.
    fn rank(&self, image: &mut Image) {
        let spec = &image.task;
        let favourite = is(self.mutant, Mutant::OwnerDraw).then_some(&*self.me);
        let members = spec.members.iter().map(|member| &**member);
        let members = ranked(&spec.clock_root, &spec.task_hash(), members, spec.members.len(), favourite);
        if members != spec.members {
            image.task = Arc::new(Spec { members, ..(**spec).clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    const TASK: &str = r#"{"task":{"submitted_ms":1,"submitter":"a","clock_root":"r","members":["a"],"task_id":"t",
        "workflow_id":"w","name":"n","tags":[],"priority":5,"newer":{}},"state":{"mark":null,"completion":null}}"#;

    fn page(tasks: &[&str]) -> String {
        format!(
            r#"{{"ok":true,"feed":"f","after":0,"tasks":[{}],"through":9,"more":false}}"#,
            tasks.join(",")
        )
    }

    #[test]
    fn one_task_that_is_none_costs_the_others_nothing() {
        let bad_types = TASK.replace("\"priority\":5", "\"priority\":\"five\"");
        let without = TASK.replace("\"task_id\":\"t\",", "");
        for wrong in [bad_types.as_str(), without.as_str(), "null", "[]", "7", r#"{"task":1}"#] {
            let fetched = Fetched::read(&page(&[wrong, TASK, wrong])).unwrap();
            assert_eq!((fetched.tasks.len(), fetched.unread, fetched.through), (1, 2, 9), "{wrong}");
            let verifier = Verifier { settings: Settings::default(), me: "me".into(), mutant: None };
            let verified = verifier.check(fetched).unwrap();
            assert_eq!((verified.refused, verified.fetched.tasks.len()), (2, 1));
        }
    }

    #[test]
    fn what_is_no_page_is_refused() {
        assert_eq!(Fetched::read(&page(&[])).unwrap().tasks, []);
        for (from, to) in [
            ("\"feed\":\"f\"", "\"feed\":5"),
            ("\"after\":0", "\"after\":-1"),
            ("\"through\":9", "\"through\":1.5"),
            ("\"more\":false", "\"more\":0"),
            ("\"tasks\":[]", "\"tasks\":{}"),
            ("\"tasks\":[],", ""),
        ] {
            assert!(Fetched::read(&page(&[]).replace(from, to)).is_err(), "{to}");
        }
        assert!(Fetched::read("[]").is_err() && Fetched::read("").is_err());
    }
}
