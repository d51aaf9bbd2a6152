//! Time that shrinks from hop to hop, so that the one who asked first still hears why it took too long.

use std::time::Duration;

/// What each hop keeps for itself, at least.
pub const HOP_MARGIN: Duration = Duration::from_millis(100);
/// A next hop with less than this would only fail later.
const LEAST: Duration = Duration::from_millis(10);

/// How long the next hop may take when this one has `left`: a twentieth less, and [`HOP_MARGIN`] less at least. `None`
/// when that is too little to ask anybody.
pub fn time_for_next_hop(left: Duration) -> Option<Duration> {
    left.checked_sub(HOP_MARGIN.max(left / 20)).filter(|next| *next >= LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_shrinks_with_each_hop_until_nobody_is_asked() {
        let hop = |ms| time_for_next_hop(Duration::from_millis(ms)).map(|next| next.as_millis());
        assert_eq!([hop(10_000), hop(1_000), hop(200)], [Some(9_500), Some(900), Some(100)]);
        assert_eq!([hop(109), hop(100), hop(0)], [None; 3]);
        let mut left = Duration::from_secs(30);
        let mut hops = 0;
        while let Some(next) = time_for_next_hop(left) {
            assert!(next < left);
            (left, hops) = (next, hops + 1);
        }
        assert!((10..200).contains(&hops), "{hops}");
        assert!(time_for_next_hop(Duration::MAX).unwrap() < Duration::MAX);
    }
}
