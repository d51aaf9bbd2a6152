//! Who is let in: the lists of peers.

use std::collections::HashSet;

use crate::p2p::PeerId;

/// The lists. Being let in is no permission to do anything.
#[derive(Debug, Default)]
pub(super) struct Lists {
    denied: HashSet<PeerId>,
    /// The only ones that are let in, where that is wanted.
    only: Option<HashSet<PeerId>>,
}

impl Lists {
    pub(super) fn new(
        denied: impl IntoIterator<Item = PeerId>,
        only: Option<impl IntoIterator<Item = PeerId>>,
    ) -> Lists {
        Lists { denied: denied.into_iter().collect(), only: only.map(|only| only.into_iter().collect()) }
    }

    /// Whether the peer may connect.
    pub(super) fn lets_in(&self, peer: &PeerId) -> bool {
        !self.denies(peer) && self.only.as_ref().is_none_or(|only| only.contains(peer))
    }

    /// Whether nothing is to be had to do with the peer, in either direction.
    pub(super) fn denies(&self, peer: &PeerId) -> bool {
        self.denied.contains(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn being_denied_wins_and_an_only_list_keeps_the_others_out() {
        let [friend, enemy, stranger] = [PeerId::random(), PeerId::random(), PeerId::random()];
        let open = Lists::new([enemy], None::<[PeerId; 0]>);
        assert!(open.lets_in(&friend) && open.lets_in(&stranger) && !open.lets_in(&enemy));
        let closed = Lists::new([enemy], Some([friend, enemy]));
        assert!(closed.lets_in(&friend) && !closed.lets_in(&stranger) && !closed.lets_in(&enemy));
        assert!(closed.denies(&enemy) && !closed.denies(&stranger));
    }
}
