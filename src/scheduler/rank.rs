//! Members in the order in which they may own a task.

use sha2::{Digest, Sha256};

use super::owner::distance;

/// The peers, each once, the owner first: by distance to the task at this clock, then by id; at most `max` of them.
///
/// `favourite` wins draws; only a test has one, because then peers disagree.
pub(super) fn ranked<'a>(
    clock_root: &str,
    task_hash: &str,
    peers: impl IntoIterator<Item = &'a str>,
    max: usize,
    favourite: Option<&str>,
) -> Box<[Box<str>]> {
    let wanted = Sha256::digest(format!("{clock_root}:{task_hash}").as_bytes());
    let mut ranked: Vec<_> = peers
        .into_iter()
        .map(|peer| (distance(&wanted, &Sha256::digest(peer.as_bytes())), favourite != Some(peer), peer))
        .collect();
    match favourite {
        Some(_) => ranked.sort_unstable(),
        None => ranked.sort_unstable_by_key(|(distance, _, peer)| (*distance, *peer)),
    }
    ranked.dedup();
    ranked.into_iter().take(max.max(1)).map(|(_, _, peer)| peer.into()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::{owner, workflow_task_hash};
    use super::*;

    #[test]
    fn the_golden_values_hold() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/vectors/scheduler.json")).unwrap();
        for row in golden["workflow_owner"].as_array().unwrap() {
            let text = |field: &str| row[field].as_str().unwrap();
            let hash = workflow_task_hash(text("task_id"), text("workflow_id"));
            assert_eq!(hash, text("task_hash"));
            let known = row["known_peers"].as_array().unwrap().iter().map(|peer| peer.as_str().unwrap());
            let peers: Vec<_> = known.chain([text("self")]).collect();
            check(row, row["clock"]["merkle_root"].as_str().unwrap(), &hash, &peers);
        }
        for row in golden["select_owner_peer"].as_array().unwrap() {
            let peers: Vec<_> =
                row["peer_ids"].as_array().unwrap().iter().map(|peer| peer.as_str().unwrap()).collect();
            check(row, row["clock_hash"].as_str().unwrap(), row["task_hash"].as_str().unwrap(), &peers);
        }
    }

    fn check(row: &serde_json::Value, root: &str, hash: &str, peers: &[&str]) {
        let ranked = ranked(root, hash, peers.iter().copied(), 64, None);
        let first = ranked.first().map(|peer| &**peer);
        assert_eq!(first, row["owner_total_order"].as_str(), "{row}");
        assert_eq!(owner(root, hash, peers.iter().copied()), first);
        if row["tie"] == false {
            assert_eq!(first, row["owner"].as_str(), "{row}");
        }
    }

    #[test]
    fn each_peer_counts_once_and_the_nearest_stay() {
        let peers = ["a", "b", "c", "a", "b"];
        let all = ranked("r", "t", peers, 64, None);
        assert_eq!(all.len(), 3);
        assert_eq!(*ranked("r", "t", peers, 2, None), all[..2]);
    }
}
