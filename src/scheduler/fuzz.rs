//! What the fuzz target of the exchange among nodes runs.

use super::{Answer, Fetched, PeerBeat, Scheduler, Settings, Step};
use crate::queue::{Change, Now, Sequencer};

const MAX_TASKS: usize = 8;
const MAX_CLOCK_ENTRIES: usize = 8;
const NOW: Now = Now { mono_ms: 1_000_000, wall_ms: 1_800_000_000_000 };

fn node(peer_id: &str) -> Scheduler {
    let settings = Settings {
        max_tasks: MAX_TASKS,
        max_total_bytes: 64 << 10,
        max_peers: 4,
        max_clock_entries: MAX_CLOCK_ENTRIES,
        ..Settings::default()
    };
    Scheduler::new(peer_id, settings, Sequencer::default(), 1)
}

/// A beat on the first line and a page on the rest, from a peer: the node stays within its bounds, comes back from its
/// records as it was, and what it holds is taken over by the next node.
pub(crate) fn fuzz_page(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (beat, page) = text.split_once('\n').unwrap_or((text, ""));
    let (mut node, mut records) = (node("12D3KooWnode"), Vec::new());
    if let Ok(beat) = PeerBeat::read(beat, MAX_CLOCK_ENTRIES) {
        let heard = node.hear_beat("12D3KooWpeer", &beat, NOW);
        heard.change.into_iter().for_each(|change| commit(&mut node, change, &mut records));
    }
    if let Ok(fetched) = Fetched::read(page) {
        take(&mut node, "12D3KooWpeer", fetched, &mut records);
    }
    while let Some(change) = node.tick(NOW) {
        commit(&mut node, change, &mut records);
    }
    assert!(node.counts().all() <= MAX_TASKS && node.clock().len() <= MAX_CLOCK_ENTRIES);
    comes_back(&node, &records);
    is_passed_on(&node);
}

fn commit(node: &mut Scheduler, change: Change, records: &mut Vec<Change>) {
    assert!(node.commit(change.sequence).is_some(), "a reserved change is committed");
    records.push(change);
}

/// Takes a page over, if it is one.
fn take(node: &mut Scheduler, peer_id: &str, fetched: Fetched, records: &mut Vec<Change>) {
    let sifted = node.sift(fetched);
    let Ok(verified) = node.verifier().check(sifted) else { return };
    match node.take_fetched(peer_id, verified, NOW) {
        Ok(Step::Change(change)) => commit(node, change, records),
        Ok(Step::Done(Answer::Merged(_))) => {}
        other => panic!("a page is merged, not {other:?}"),
    }
}

fn comes_back(node: &Scheduler, records: &[Change]) {
    let mut again = self::node("12D3KooWnode");
    for record in records {
        let read = again.replay(record.sequence, record.kind, &record.bytes, NOW);
        assert!(read.is_ok(), "a record that was written can be read");
    }
    again.replayed();
    assert_eq!((again.counts(), again.clock().root()), (node.counts(), node.clock().root()));
}

fn is_passed_on(node: &Scheduler) {
    let mut next = self::node("12D3KooWnext");
    let page = node.answer_fetch(&next.fetch("12D3KooWnode"));
    let json = serde_json::to_string(&page).unwrap_or_default();
    let Ok(page) = Fetched::read(&json) else { panic!("a page that was written can be read") };
    assert_eq!(page.unread, 0);
    take(&mut next, "12D3KooWnode", page, &mut Vec::new());
    assert_eq!(next.counts().all(), node.counts().all(), "whatever a node takes, its peers take");
}
