//! What the probes answer, as pure functions of the server's state.

use std::time::Duration;

use serde::Serialize;

/// Where the server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Executors, listeners or start-up hooks are not ready yet.
    Starting,
    /// Requests are taken.
    Ready,
    /// The server is shutting down; requests in flight are finished.
    Draining,
}

/// One core as the watchdog sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreState {
    /// The core's number.
    pub core: usize,
    /// Time since its last tick.
    pub tick_age: Duration,
    /// Whether that is longer than the stall threshold.
    pub stalled: bool,
    /// Times it stalled since the start.
    pub stalls: u64,
    /// Times it ticked since the start.
    pub ticks: u64,
    /// Time it spent working since the start.
    pub busy: Duration,
    /// What it was doing when it was last seen, for instance the tool it runs.
    pub activity: Option<String>,
}

/// The server's libp2p node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct P2pState {
    /// Its id in base58.
    pub peer_id: String,
    /// The multiaddrs where peers connect.
    pub listen: Vec<String>,
    /// Its open connections.
    pub connections: u64,
    /// The peers that are known.
    pub peers: u64,
}

/// The server's state at the moment of the probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerState {
    /// The server's name, as configured.
    pub name: String,
    /// Where it is in its life.
    pub phase: Phase,
    /// Time since it started.
    pub uptime: Duration,
    /// Its cores.
    pub cores: Vec<CoreState>,
    /// Connections open now.
    pub connections: u64,
    /// Sessions of clients of the older revisions.
    pub sessions: u64,
    /// Tools that are offered.
    pub tools: usize,
    /// Its libp2p, where there is any.
    pub p2p: Option<P2pState>,
}

/// A probe's answer; the body is one JSON object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// 200, or 503 where a balancer or supervisor should act.
    pub status: u16,
    /// The JSON body.
    pub body: String,
}

impl ProbeAnswer {
    fn new(good: bool, body: &impl Serialize) -> Self {
        let body =
            serde_json::to_string(body).expect("invariant: plain structs of text and numbers serialise");
        Self { status: if good { 200 } else { 503 }, body }
    }
}

#[derive(Serialize)]
struct CoreBody<'a> {
    core: usize,
    tick_age_ms: u64,
    stalled: bool,
    stalls: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    activity: Option<&'a str>,
}

impl<'a> CoreBody<'a> {
    fn new(core: &'a CoreState) -> Self {
        let tick_age_ms = u64::try_from(core.tick_age.as_millis()).unwrap_or(u64::MAX);
        // What an idle core did last says nothing; what a stalled one is doing says everything.
        let activity = core.activity.as_deref().filter(|_| core.stalled);
        Self { core: core.core, tick_age_ms, stalled: core.stalled, stalls: core.stalls, activity }
    }
}

impl ServerState {
    fn any_stalled(&self) -> bool {
        self.cores.iter().any(|core| core.stalled)
    }

    /// `/health`: everything in short, for people. 200 while requests are taken.
    pub fn health(&self) -> ProbeAnswer {
        #[derive(Serialize)]
        struct Body<'a> {
            status: &'static str,
            name: &'a str,
            version: &'static str,
            uptime_s: u64,
            connections: u64,
            sessions: u64,
            tools: usize,
            #[serde(skip_serializing_if = "Option::is_none")]
            p2p: Option<&'a P2pState>,
            cores: Vec<CoreBody<'a>>,
        }
        let status = match self.phase {
            Phase::Starting => "starting",
            Phase::Draining => "draining",
            Phase::Ready if self.any_stalled() => "degraded",
            Phase::Ready => "ok",
        };
        let body = Body {
            status,
            name: &self.name,
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: self.uptime.as_secs(),
            connections: self.connections,
            sessions: self.sessions,
            tools: self.tools,
            p2p: self.p2p.as_ref(),
            cores: self.cores.iter().map(CoreBody::new).collect(),
        };
        ProbeAnswer::new(self.phase == Phase::Ready, &body)
    }

    /// `/livez`: whether every core ticked lately. 503 asks a supervisor to restart the process.
    pub fn livez(&self) -> ProbeAnswer {
        #[derive(Serialize)]
        struct Body<'a> {
            status: &'static str,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            stalled: Vec<CoreBody<'a>>,
        }
        let stalled: Vec<_> = self.cores.iter().filter(|core| core.stalled).map(CoreBody::new).collect();
        let good = stalled.is_empty();
        ProbeAnswer::new(good, &Body { status: if good { "ok" } else { "stalled" }, stalled })
    }

    /// `/readyz`: whether requests are taken. 503 before warm-up and while draining.
    pub fn readyz(&self) -> ProbeAnswer {
        #[derive(Serialize)]
        struct Body {
            status: &'static str,
        }
        let status = match self.phase {
            Phase::Starting => "starting",
            Phase::Ready => "ok",
            Phase::Draining => "draining",
        };
        ProbeAnswer::new(self.phase == Phase::Ready, &Body { status })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(phase: Phase, stalled: bool) -> ServerState {
        let core = |core, stalled| CoreState {
            core,
            tick_age: Duration::from_millis(12),
            stalled,
            stalls: u64::from(stalled),
            ticks: 1_000,
            busy: Duration::from_secs(7),
            activity: Some("tool spin".to_owned()),
        };
        ServerState {
            name: "ringmesh".to_owned(),
            phase,
            uptime: Duration::from_secs(61),
            cores: vec![core(0, false), core(3, stalled)],
            connections: 5,
            sessions: 2,
            tools: 21,
            p2p: None,
        }
    }

    #[test]
    fn health_tells_everything_in_short() {
        let answer = state(Phase::Ready, false).health();
        assert_eq!(answer.status, 200);
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["status"], "ok");
        assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!((&body["uptime_s"], &body["connections"]), (&61.into(), &5.into()));
        assert_eq!((&body["sessions"], &body["tools"]), (&2.into(), &21.into()));
        assert_eq!(body["cores"][1]["core"], 3);
        assert!(body.get("p2p").is_none());
        let p2p = P2pState { peer_id: "12D3".to_owned(), listen: Vec::new(), connections: 3, peers: 4 };
        let with = ServerState { p2p: Some(p2p), ..state(Phase::Ready, false) }.health();
        assert!(with.body.contains(r#""p2p":{"peer_id":"12D3","listen":[],"connections":3,"peers":4}"#));
        let degraded = state(Phase::Ready, true).health();
        assert_eq!(degraded.status, 200);
        assert!(degraded.body.contains(r#""status":"degraded""#), "{}", degraded.body);
    }

    #[test]
    fn livez_names_the_stalled_core_and_what_it_runs() {
        assert_eq!(state(Phase::Ready, false).livez().body, r#"{"status":"ok"}"#);
        let answer = state(Phase::Ready, true).livez();
        assert_eq!(answer.status, 503);
        let expected = r#"{"status":"stalled","stalled":[{"core":3,"tick_age_ms":12,"stalled":true,"stalls":1,"activity":"tool spin"}]}"#;
        assert_eq!(answer.body, expected);
        assert_eq!(state(Phase::Draining, false).livez().status, 200);
    }

    #[test]
    fn readyz_is_true_only_between_start_and_shutdown() {
        let statuses =
            [Phase::Starting, Phase::Ready, Phase::Draining].map(|phase| state(phase, false).readyz().status);
        assert_eq!(statuses, [503, 200, 503]);
        assert_eq!(state(Phase::Draining, false).health().status, 503);
    }
}
