//! What happens in a seed, decided before it begins.

use super::random::Random;

pub(super) const SECOND: u64 = 1_000;
/// Until then tasks are submitted and things go wrong; from then on nothing does.
pub(super) const HEAL_MS: u64 = 1_600 * SECOND;
/// Then everything must be done: two silences, two assignments, and some heartbeats.
pub(super) const END_MS: u64 = HEAL_MS + 1_200 * SECOND;

/// The faults of a seed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) loses: bool,
    pub(super) splits: bool,
    pub(super) crashes: bool,
    /// A node goes for good.
    pub(super) kills: bool,
}

/// What a seed decides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) nodes: usize,
    pub(super) tasks: u64,
    pub(super) faults: Faults,
    pub(super) max_delay_ms: u64,
    pub(super) max_skew_ms: u64,
    /// Whether messages go through their JSON forms.
    pub(super) as_json: bool,
}

impl Plan {
    pub(super) fn new(seed: u64, random: &mut Random) -> Plan {
        let is_faulty = !seed.is_multiple_of(4);
        let bits = if is_faulty { random.below(15) + 1 } else { 0 };
        let has = |bit: u64| bits >> bit & 1 == 1;
        Plan {
            nodes: 3 + random.below(5) as usize,
            tasks: 4 + random.below(9),
            faults: Faults { loses: has(0), splits: has(1), crashes: has(2), kills: has(3) },
            max_delay_ms: 1 + random.below(3_000),
            max_skew_ms: random.below(2) * 3_600 * SECOND,
            as_json: seed.is_multiple_of(8),
        }
    }

    pub(super) fn is_faulty(&self) -> bool {
        let Faults { loses, splits, crashes, kills } = self.faults;
        loses || splits || crashes || kills
    }
}
