//! What a comparison runs, in which order, and how long that takes.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::options::as_seconds;

/// Connections of an open loop: enough that none of them sets the pace, as arrivals do that.
pub(crate) const OPEN_CONNECTIONS: u32 = 64;
/// The shares of the bridge's knee at which all are offered the same rate, in percent.
const OPEN_SHARES: [u32; 2] = [50, 70];
/// What a run costs beside its warm-up and its measured time: opening, closing and reading.
const OVERHEAD: Duration = Duration::from_millis(150);

/// What the clients of a run do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mix {
    /// The tool `echo`.
    Echo,
    /// `tools/list`.
    ToolsList,
    /// Submit, claim and complete a task in the queue of the server itself.
    QueueLocal,
    /// The same in the queue of another node, over libp2p.
    QueueRemote,
}

impl Mix {
    /// The name of the mix, as the generator knows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::ToolsList => "tools-list",
            Self::QueueLocal => "queue-local",
            Self::QueueRemote => "queue-remote",
        }
    }
}

/// Which cores who has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Layout {
    /// The server on one core, the generator on another.
    Apart,
    /// The server on both, and the generator wherever there is room, at a lower priority.
    Shared,
}

impl Layout {
    /// The name, as it stands beside every figure.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Apart => "apart",
            Self::Shared => "shared",
        }
    }
}

/// What sets the pace of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pace {
    /// Each connection waits for its answer.
    Closed,
    /// Arrivals on a schedule, at so many percent of the bridge's knee.
    OfKnee(u32),
}

/// One load under which all servers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Cell {
    pub(crate) layout: Layout,
    pub(crate) mix: Mix,
    pub(crate) connections: u32,
    pub(crate) pace: Pace,
}

impl Cell {
    /// The load in words, without its layout.
    pub(crate) fn words(&self) -> String {
        let pace = match self.pace {
            Pace::Closed => "closed loop".to_owned(),
            Pace::OfKnee(percent) => format!("{percent} % of the bridge's knee"),
        };
        format!("{}, {} connections, {pace}", self.mix.name(), self.connections)
    }
}

/// Everything that is to be run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Plan {
    /// Closed loops before open ones within a layout: the knee comes from them.
    pub(crate) cells: Vec<Cell>,
    pub(crate) rounds: u32,
    #[serde(rename = "warmup_s", serialize_with = "as_seconds")]
    pub(crate) warmup: Duration,
    #[serde(rename = "duration_s", serialize_with = "as_seconds")]
    pub(crate) duration: Duration,
}

/// What the command line chose; what it left open is filled in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    pub(crate) quick: bool,
    pub(crate) connections: Vec<u32>,
    pub(crate) mixes: Vec<Mix>,
    pub(crate) layouts: Vec<Layout>,
    pub(crate) rounds: Option<u32>,
    pub(crate) warmup: Option<Duration>,
    pub(crate) duration: Option<Duration>,
}

impl Plan {
    /// The plan of a choice on a machine with so many cores.
    pub(crate) fn new(choice: &Choice, cpus: usize) -> Self {
        let quick = choice.quick;
        let layouts: &[Layout] = match (&choice.layouts[..], cpus, quick) {
            (_, 0 | 1, _) => &[Layout::Shared],
            ([], _, true) => &[Layout::Apart],
            ([], 2, false) => &[Layout::Apart, Layout::Shared],
            ([], _, false) => &[Layout::Apart],
            (chosen, _, _) => chosen,
        };
        let connections: &[u32] = match (&choice.connections[..], quick) {
            ([], true) => &[16, 256],
            ([], false) => &[1, 16, 64, 256, 1024],
            (chosen, _) => chosen,
        };
        let mixes: &[Mix] = match (&choice.mixes[..], quick) {
            ([], true) => &[Mix::QueueLocal, Mix::QueueRemote],
            ([], false) => &[Mix::Echo, Mix::ToolsList, Mix::QueueLocal, Mix::QueueRemote],
            (chosen, _) => chosen,
        };
        Self {
            cells: layouts.iter().flat_map(|layout| cells(*layout, mixes, connections, quick)).collect(),
            rounds: choice.rounds.unwrap_or(super::verdict::LEAST_ROUNDS),
            warmup: choice.warmup.unwrap_or(Duration::from_millis(if quick { 200 } else { 300 })),
            duration: choice.duration.unwrap_or(Duration::from_millis(if quick { 1500 } else { 2000 })),
        }
    }

    /// The layouts, in the order in which they run.
    pub(crate) fn layouts(&self) -> Vec<Layout> {
        let mut layouts: Vec<Layout> = self.cells.iter().map(|cell| cell.layout).collect();
        layouts.dedup();
        layouts
    }

    /// How many runs there are, with `subjects` saying how many servers take part in a load.
    pub(crate) fn runs(&self, subjects: impl Fn(&Cell) -> usize) -> usize {
        self.cells.iter().map(|cell| subjects(cell) * self.rounds as usize).sum()
    }

    /// How long so many runs take.
    pub(crate) fn time(&self, runs: usize) -> Duration {
        (self.warmup + self.duration + OVERHEAD) * u32::try_from(runs).unwrap_or(u32::MAX)
    }
}

fn cells(layout: Layout, mixes: &[Mix], connections: &[u32], quick: bool) -> Vec<Cell> {
    let closed = mixes.iter().flat_map(|mix| {
        connections.iter().map(move |connections| Cell {
            layout,
            mix: *mix,
            connections: *connections,
            pace: Pace::Closed,
        })
    });
    let shares = if quick { &OPEN_SHARES[1..] } else { &OPEN_SHARES[..] };
    let queue = mixes.iter().filter(|mix| matches!(mix, Mix::QueueLocal | Mix::QueueRemote));
    let open = queue.flat_map(|mix| {
        shares.iter().map(move |percent| Cell {
            layout,
            mix: *mix,
            connections: OPEN_CONNECTIONS,
            pace: Pace::OfKnee(*percent),
        })
    });
    closed.chain(open).collect()
}

/// The order of a round: there and back, so that a drift of the machine falls on all alike.
pub(crate) fn order(round: u32, subjects: usize) -> Vec<usize> {
    if round.is_multiple_of(2) { (0..subjects).collect() } else { (0..subjects).rev().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_go_there_and_back() {
        let all: Vec<usize> = (0..4).flat_map(|round| order(round, 2)).collect();
        assert_eq!(all, [0, 1, 1, 0, 0, 1, 1, 0]);
        assert_eq!(order(1, 3), [2, 1, 0]);
    }

    #[test]
    fn the_quick_plan_is_as_asked_and_fits_into_four_minutes() {
        let plan = Plan::new(&Choice { quick: true, ..Choice::default() }, 2);
        let words: Vec<String> = plan.cells.iter().map(Cell::words).collect();
        assert_eq!(
            words,
            [
                "queue-local, 16 connections, closed loop",
                "queue-local, 256 connections, closed loop",
                "queue-remote, 16 connections, closed loop",
                "queue-remote, 256 connections, closed loop",
                "queue-local, 64 connections, 70 % of the bridge's knee",
                "queue-remote, 64 connections, 70 % of the bridge's knee",
            ]
        );
        assert_eq!(
            (plan.rounds, plan.duration, plan.layouts()),
            (7, Duration::from_millis(1500), vec![Layout::Apart])
        );
        let runs = plan.runs(|_| 2);
        assert_eq!(runs, 84);
        assert!(plan.time(runs) < Duration::from_secs(180), "{:?}", plan.time(runs));
    }

    #[test]
    fn two_cores_are_used_both_ways_and_one_core_only_shared() {
        let full = Plan::new(&Choice::default(), 2);
        assert_eq!(full.layouts(), [Layout::Apart, Layout::Shared]);
        // Five loads of four mixes, and two rates for each of two mixes, in two layouts.
        assert_eq!(full.cells.len(), 2 * (5 * 4 + 2 * 2));
        assert!(full.cells.iter().any(|cell| cell.connections == 1024));
        let open = |layout| {
            let mut cells = full.cells.iter().filter(move |cell| cell.layout == layout);
            cells.position(|cell| cell.pace != Pace::Closed)
        };
        assert_eq!(open(Layout::Shared), Some(20));
        assert_eq!(Plan::new(&Choice::default(), 1).layouts(), [Layout::Shared]);
        assert_eq!(Plan::new(&Choice::default(), 8).layouts(), [Layout::Apart]);
    }
}
