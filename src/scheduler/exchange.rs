//! What nodes tell each other: who is there, what changed, what has arrived.

use super::PeerClock;
use super::machine::{Draft, Page, Scheduler};
use super::request::{Answer, Asked, Merged, Step};
use super::task::Image;
use super::wire::{Ack, Beat, Fetch, Fetched, News, PeerBeat, Verified};
use crate::queue::{Change, Now};

/// What hearing of a peer came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heard {
    /// Entries of its clock that found no room.
    pub left_out: usize,
    /// Whether another peer was forgotten for it.
    pub forgot: bool,
    /// Whether its feed has something that is not known here: fetch.
    pub fetch: bool,
    /// To be journalled and committed. What it says counts already; after a crash it may be missing.
    pub change: Option<Change>,
}

impl Scheduler {
    /// What a heartbeat to a peer carries.
    pub fn beat(&self) -> Beat {
        Beat { clock: self.clock.clone(), news: self.news() }
    }

    /// Where the feed ends.
    pub fn news(&self) -> News {
        News { feed: self.feed.clone(), through: self.table.end(self.horizon()) }
    }

    /// A heartbeat with a beat came from a peer: it is a member.
    pub fn hear_beat(&mut self, peer_id: &str, beat: &PeerBeat, now: Now) -> Heard {
        let mut heard = self.hear(peer_id, Some(true), Some(&beat.clock), now);
        let (cursor, news) = (self.peers.get(peer_id).map(|peer| &peer.cursor), &beat.news);
        heard.fetch = news.through > 0
            && cursor.is_some_and(|cursor| cursor.feed != news.feed || cursor.through < news.through);
        heard
    }

    /// A peer was heard of: by a heartbeat of the task queue, an answer, or a client's word (`p2p_update_peer_state`).
    /// `announces` says whether it announces `workflow.fetch` and `workflow.ack`, where that is known; only where it does
    /// is its silence over.
    pub fn hear(
        &mut self,
        peer_id: &str,
        announces: Option<bool>,
        clock: Option<&PeerClock>,
        now: Now,
    ) -> Heard {
        let mut heard = Heard::default();
        if *peer_id == *self.me {
            return heard;
        }
        let interval_ms = self.settings.peer_record_ms;
        heard.left_out = clock.map_or(0, |clock| self.clock.merge(clock));
        let (peer, forgot) = self.peers.note(peer_id, now);
        heard.forgot = forgot;
        let is_news = announces.is_some_and(|announces| announces != peer.announces);
        let is_old =
            peer.recorded_ms.is_none_or(|mono_ms| Now { mono_ms, ..now }.after(interval_ms) <= now.mono_ms);
        if announces == Some(true) {
            // Who is heard of, but does not say that it takes tasks, would keep for good what it holds.
            peer.since_ms = now.mono_ms;
        }
        peer.last_seen_ms = now.wall_ms.max(1);
        peer.announces = announces.unwrap_or(peer.announces);
        if is_news || is_old {
            heard.change = Some(self.record_peer(peer_id, now));
        }
        heard
    }

    fn record_peer(&mut self, peer_id: &str, now: Now) -> Change {
        let mut draft = Draft::refusable();
        let sequence = self.sequencer.reserve();
        if let Some(peer) = self.peers.get_mut(peer_id) {
            (peer.sequence, peer.recorded_ms) = (sequence, Some(now.mono_ms));
            draft.record.peer(sequence, peer_id, peer.last_seen_ms, peer.announces);
        }
        self.clock.entries().for_each(|(node, count)| draft.record.count(node, count));
        self.reserve(draft, Answer::Heard, now)
    }

    /// What to ask a peer with `workflow.fetch`.
    pub fn fetch(&self, peer_id: &str) -> Fetch {
        let cursor = self.peers.get(peer_id).map(|peer| peer.cursor.clone()).unwrap_or_default();
        Fetch { peer_id: (&*self.me).into(), feed: cursor.feed, after: cursor.through }
    }

    /// Answers `workflow.fetch`: a page of what changed here, bounded in tasks and bytes. Only what is durable is told.
    pub fn answer_fetch(&self, fetch: &Fetch) -> Fetched {
        let after = if fetch.feed == self.feed { fetch.after } else { 0 };
        let horizon = self.horizon();
        let (mut tasks, mut through, mut bytes) = (Vec::new(), after, 0);
        let mut more = false;
        for entry in self.table.feed(after, horizon) {
            bytes += entry.bytes;
            let is_full =
                tasks.len() >= self.settings.max_fetch_tasks || bytes > self.settings.max_fetch_bytes;
            if is_full && !tasks.is_empty() {
                more = true;
                break;
            }
            tasks.push(entry.image.clone());
            through = entry.sequence;
        }
        Fetched { feed: self.feed.clone(), after, tasks, through, more, unread: 0 }
    }

    /// Leaves out of a page what is known here already, which is most of it where nodes are many. Then comes
    /// [`super::Verifier::check`], outside of the lock, and then [`Scheduler::take_fetched`].
    pub fn sift(&self, mut fetched: Fetched) -> Fetched {
        let is_news = |image: &Image| {
            let known = self.table.get(&image.task.task_id).map(|entry| &entry.image);
            known.is_none_or(|known| known.join(image, self.mutant) != *known)
        };
        fetched.tasks.retain(is_news);
        fetched
    }

    /// Takes over what a peer answered. Once that is committed, its acknowledgement can be sent.
    ///
    /// # Errors
    /// None.
    pub fn take_fetched(&mut self, peer_id: &str, verified: Verified, now: Now) -> Asked {
        let fetched = verified.fetched;
        if let Some(sequence) = fetched.tasks.iter().find_map(|image| self.busy(&image.task.task_id)) {
            return Ok(Step::Wait(sequence));
        }
        let (mut draft, mut merged) = (Draft::default(), Merged { more: fetched.more, ..Merged::default() });
        for image in fetched.tasks {
            self.join(&mut draft, &mut merged, image, now);
        }
        let (after, news) = (fetched.after, News { feed: fetched.feed, through: fetched.through });
        if merged.no_room == 0 {
            let (feed, through) = (news.feed.clone(), news.through);
            merged.ack = Some(Ack { peer_id: (&*self.me).into(), feed, through });
        }
        let page =
            Page { peer_id: peer_id.into(), after, news, missed: merged.no_room > 0, more: fetched.more };
        let answer = Answer::Merged(merged);
        if draft.effects.is_empty() {
            self.turn(&page);
            return Ok(Step::Done(answer));
        }
        draft.read = Some(page);
        Ok(Step::Change(self.reserve(draft, answer, now)))
    }

    /// Adds what a peer knows more of one task.
    fn join(&mut self, draft: &mut Draft, merged: &mut Merged, image: Image, now: Now) {
        let (joined, until_ms) = match self.table.get(&image.task.task_id) {
            Some(entry) => {
                let joined = entry.image.join(&image, self.mutant);
                if joined == entry.image {
                    return;
                }
                merged.changed += 1;
                (joined, entry.until_ms)
            }
            None if self.is_past(&image, now) => return,
            None if self.room_for(draft, image.bytes()).is_err() => return merged.no_room += 1,
            None => {
                merged.new += 1;
                // Only a node that lost its disk hears of a task that it gave out itself.
                (image, now.after(self.settings.assignment_ms))
            }
        };
        if *joined.holder() != *self.me && self.peers.get(joined.holder()).is_none() {
            self.peers.note(joined.holder(), now);
        }
        self.put(draft, joined, until_ms, now);
    }

    /// Whether the task was completed so long ago that it is kept no more.
    fn is_past(&self, image: &Image, now: Now) -> bool {
        let retention_ms = self.settings.retention_ms;
        image
            .state
            .completion
            .as_ref()
            .is_some_and(|done| done.at_ms.saturating_add(retention_ms) <= now.wall_ms)
    }

    /// Moves on in a peer's feed. An answer that came late, or twice, moves nothing back.
    pub(super) fn turn(&mut self, page: &Page) {
        let Some(peer) = self.peers.get_mut(&page.peer_id) else { return };
        let from = if peer.cursor.feed == page.news.feed { peer.cursor.through } else { 0 };
        if page.after > from {
            return;
        }
        peer.cursor = News { feed: page.news.feed.clone(), through: page.news.through.max(from) };
        peer.missed |= page.missed;
        if peer.missed && !page.more {
            (peer.cursor, peer.missed) = (News::default(), false);
        }
    }

    /// Takes a `workflow.ack`: the peer has all of this feed up to there on its own disk.
    pub fn take_ack(&mut self, ack: &Ack) {
        let end = self.table.end(u64::MAX);
        if let Some(peer) = self.peers.get_mut(&ack.peer_id).filter(|_| ack.feed == self.feed) {
            peer.acknowledged = peer.acknowledged.max(ack.through.min(end));
        }
    }

    /// Whether the peer that holds a task has acknowledged it as it stands here; this node's own are.
    pub fn is_handed_over(&self, task_id: &str) -> bool {
        let Some(entry) = self.table.get(task_id) else { return false };
        let holder = entry.image.holder();
        *holder == *self.me || self.peers.get(holder).is_some_and(|peer| peer.acknowledged >= entry.sequence)
    }
}
