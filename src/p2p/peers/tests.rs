use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::identify::Info;
use super::super::{Multiaddr, PeerId, Via};
use super::*;
use crate::fuzzing::Rng;
use crate::limits::{Limit, Limits};

const ADDRESS: SocketAddr =
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::new(192, 0, 2, 1), 7));

struct Fixture {
    table: Arc<PeerTable>,
    epoch: Instant,
}

fn with(set: impl FnOnce(&mut Limits)) -> Fixture {
    let mut limits = Limits::default();
    set(&mut limits);
    let epoch = Instant::now();
    Fixture { table: Arc::new(PeerTable::new(&limits, epoch)), epoch }
}

impl Fixture {
    fn at(&self, ms: u64) -> Instant {
        self.epoch + Duration::from_millis(ms)
    }

    fn moment(&self, ms: u64) -> Moment {
        Moment { instant: self.at(ms), wall_s: 1_000.0 + ms as f64 / 1e3 }
    }

    fn connect(&self, peer: &PeerId, ms: u64) -> Result<ConnectionPlace, Limit> {
        self.table.connected(peer, ADDRESS, Via::Beyond, self.at(ms))
    }

    fn listed(&self) -> Vec<PeerId> {
        self.table.list(usize::MAX, self.moment(1_000_000)).iter().map(|info| info.peer_id).collect()
    }
}

#[test]
fn connections_are_counted_until_they_end() {
    let f = with(|limits| limits.max_p2p_connections_per_peer = 2);
    let (peer, other) = (PeerId::random(), PeerId::random());
    let first = f.connect(&peer, 0).unwrap();
    let second = f.connect(&peer, 10).unwrap();
    assert_eq!(f.connect(&peer, 20).unwrap_err(), Limit::P2pConnectionsPerPeer);
    let _other = f.connect(&other, 20).unwrap();
    assert_eq!((f.table.len(), f.table.connected_peers()), (2, 2));
    drop(first);
    let third = f.connect(&peer, 30).unwrap();
    std::thread::spawn(move || drop((second, third))).join().unwrap();
    let info = f.table.find(&peer, f.moment(1_030)).unwrap();
    assert_eq!((info.connections, info.unheard_for), (0, Duration::from_secs(1)));
    assert!((info.last_seen_s - 1_000.03).abs() < 1e-6, "{}", info.last_seen_s);
    assert_eq!(f.table.connected_peers(), 1);
}

#[test]
fn a_connection_over_the_limit_of_its_peer_leaves_no_trace() {
    let f = with(|limits| limits.max_p2p_connections_per_peer = 1);
    let peer = PeerId::random();
    let place = f.connect(&peer, 0).unwrap();
    assert!(f.connect(&peer, 50).is_err());
    drop(place);
    assert_eq!(f.table.find(&peer, f.moment(50)).unwrap().unheard_for, Duration::from_millis(50));
}

/// A peer as the plain model knows it: id, when it was heard, its open connections.
type Model = Vec<(PeerId, u64, usize)>;

fn forget(model: &mut Model, most: usize) {
    while model.len() > most {
        let idle = model.iter().enumerate().filter(|(_, peer)| peer.2 == 0);
        let Some((oldest, _)) = idle.min_by_key(|(_, peer)| (peer.1, peer.0)) else { return };
        model.remove(oldest);
    }
}

/// One random step on both; false where the model says that there is no room.
fn step(
    f: &Fixture,
    model: &mut Model,
    places: &mut Vec<ConnectionPlace>,
    rng: &mut Rng,
    ids: &[PeerId],
    now: u64,
) {
    const MOST: usize = 16;
    let id = ids[rng.below(ids.len())];
    let known = model.iter().position(|peer| peer.0 == id);
    match rng.below(5) {
        0 | 1 => {
            let room = known.is_some() || model.len() < MOST || model.iter().any(|peer| peer.2 == 0);
            assert_eq!(f.table.saw(&id, f.at(now)), room);
            match known {
                Some(at) => model[at].1 = now,
                None if room => {
                    forget(model, MOST - 1);
                    model.push((id, now, 0));
                }
                None => {}
            }
        }
        2 => {
            places.push(f.connect(&id, now).unwrap());
            match known {
                Some(at) => (model[at].1, model[at].2) = (now, model[at].2 + 1),
                None => {
                    forget(model, MOST - 1);
                    model.push((id, now, 1));
                }
            }
        }
        3 if !places.is_empty() => {
            let place = places.swap_remove(rng.below(places.len()));
            model.iter_mut().find(|peer| peer.0 == *place.peer_id()).unwrap().2 -= 1;
            drop(place);
            forget(model, MOST);
        }
        _ if !places.is_empty() => {
            let place = &places[rng.below(places.len())];
            place.heard(f.at(now));
            model.iter_mut().find(|peer| peer.0 == *place.peer_id()).unwrap().1 = now;
        }
        _ => {}
    }
}

#[test]
fn who_is_forgotten_is_who_a_plain_model_forgets() {
    for seed in 0..30 {
        let f = with(|limits| limits.max_p2p_peers = 16);
        let ids: Vec<_> = (0..40).map(|_| PeerId::random()).collect();
        let (mut rng, mut model, mut places) = (Rng::new(seed), Model::new(), Vec::new());
        for now in 1..600 {
            step(&f, &mut model, &mut places, &mut rng, &ids, now);
            assert_eq!(f.table.len(), model.len());
            assert!(f.table.len() <= 16.max(f.table.connected_peers()));
        }
        model.sort_by_key(|peer| std::cmp::Reverse((peer.1, peer.0)));
        assert_eq!(f.listed(), model.iter().map(|peer| peer.0).collect::<Vec<_>>(), "seed {seed}");
        for (id, _, connections) in &model {
            assert_eq!(f.table.find(id, f.moment(600)).unwrap().connections, *connections);
        }
    }
}

#[test]
fn a_large_table_keeps_its_bound_and_nearly_fills_it() {
    let f = with(|limits| limits.max_p2p_peers = 1_024);
    for n in 0..5_000 {
        f.table.saw(&PeerId::random(), f.at(n));
        assert!(f.table.len() <= 1_024);
    }
    assert_eq!(f.table.len(), 1_024);
    let last = f.table.list(10, f.moment(5_000));
    let heard: Vec<_> = last.iter().map(|info| info.unheard_for.as_millis()).collect();
    assert_eq!(heard, (1..=10).collect::<Vec<_>>());
}

#[test]
fn requests_are_held_to_the_rate_of_their_peer_and_of_all() {
    let f = with(|limits| {
        (limits.max_p2p_requests_per_s, limits.max_p2p_request_burst) = (10, 2);
        limits.max_p2p_total_requests_per_s = 5;
    });
    let (one, other) = (PeerId::random(), PeerId::random());
    let places = [f.connect(&one, 0).unwrap(), f.connect(&one, 0).unwrap(), f.connect(&other, 0).unwrap()];
    // Two connections of one peer share its burst.
    assert_eq!(places[0].admit(f.at(0)), Ok(()));
    assert_eq!(places[1].admit(f.at(0)), Ok(()));
    assert_eq!(places[0].admit(f.at(0)), Err(Limit::P2pRequestRate));
    assert_eq!(places[1].admit(f.at(99)), Err(Limit::P2pRequestRate));
    // Another has its own, and all together theirs.
    assert_eq!(places[2].admit(f.at(99)), Ok(()));
    assert_eq!(places[2].admit(f.at(99)), Ok(()));
    assert_eq!(places[0].admit(f.at(110)), Ok(()));
    assert_eq!(places[2].admit(f.at(199)), Err(Limit::P2pTotalRate));
    assert_eq!(places[0].admit(f.at(210)), Ok(()));
    // What is refused was heard as well.
    assert_eq!(f.table.find(&other, f.moment(300)).unwrap().unheard_for, Duration::from_millis(101));
}

#[test]
fn a_peer_does_not_get_its_burst_back_by_connecting_again() {
    let f = with(|limits| (limits.max_p2p_requests_per_s, limits.max_p2p_request_burst) = (1, 1));
    let peer = PeerId::random();
    assert!(f.connect(&peer, 0).unwrap().admit(f.at(0)).is_ok());
    assert_eq!(f.connect(&peer, 10).unwrap().admit(f.at(10)), Err(Limit::P2pRequestRate));
}

#[test]
fn accepts_are_held_to_their_rate() {
    let f = with(|limits| limits.max_p2p_accepts_per_s = 100);
    let accepted = |ms| (0..1_000).filter(|_| f.table.admit_accept(f.at(ms))).count();
    assert_eq!((accepted(0), accepted(10), accepted(60)), (100, 1, 5));
}

#[test]
fn what_a_peer_tells_is_bounded_and_cleaned() {
    let f = with(|_| {});
    let peer = PeerId::random();
    let _place = f.connect(&peer, 0).unwrap();
    let address = |text: &str| -> Multiaddr { text.parse().unwrap() };
    let mut info = Info {
        agent_version: Some(format!("a\u{1b}[31m\n{}", "b".repeat(300))),
        protocols: (0..100).map(|n| format!("/p/{n}")).collect(),
        listen_addrs: (1..100).map(|n| address(&format!("/ip4/192.0.2.1/tcp/{n}"))).collect(),
        ..Info::default()
    };
    info.protocols.insert(0, "/a\n".to_owned());
    info.protocols.insert(0, "x".repeat(129));
    info.listen_addrs.insert(0, address("/ip4/192.0.2.1/udp/1/quic-v1"));
    info.listen_addrs.insert(0, address("/ip4/192.0.2.1/tcp/0"));
    f.table.identified(&peer, &info);
    let known = f.table.find(&peer, f.moment(0)).unwrap();
    let agent = known.agent.unwrap();
    assert_eq!((agent.chars().count(), &agent[..6]), (128, "a[31mb"));
    assert_eq!((known.protocols.len(), known.protocols[0].as_str()), (32, "/p/0"));
    assert_eq!((known.addresses.len(), known.addresses[0].to_string().as_str()), (8, "/ip4/192.0.2.1/tcp/1"));
    // What a push leaves out stays.
    f.table.identified(&peer, &Info { protocols: vec!["/new".to_owned()], ..Info::default() });
    let known = f.table.find(&peer, f.moment(0)).unwrap();
    assert_eq!((known.protocols, known.addresses.len()), (vec!["/new".to_owned()], 8));
    // Of a peer that is not known nothing is kept.
    f.table.identified(&PeerId::random(), &info);
    f.table.round_trip(&PeerId::random(), Duration::from_millis(1));
    assert_eq!(f.table.len(), 1);
}

#[test]
fn where_a_peer_was_reached_comes_first_and_once() {
    let f = with(|_| {});
    let peer = PeerId::random();
    let _in = f.table.connected(&peer, "192.0.2.9:40000".parse().unwrap(), Via::Beyond, f.at(0)).unwrap();
    let addresses = || f.table.find(&peer, f.moment(0)).unwrap().addresses;
    assert!(addresses().is_empty(), "the port that a peer connects from is not one it listens on");
    let listen_addrs = ["/ip4/10.0.0.1/tcp/7", "/ip4/192.0.2.1/tcp/7"]
        .map(|text| text.parse::<crate::p2p::Multiaddr>().unwrap());
    // Some peers add their id.
    let announced = listen_addrs.iter().map(|known| known.clone().with_p2p(peer).unwrap()).collect();
    f.table.identified(&peer, &Info { listen_addrs: announced, ..Info::default() });
    let _out = f.table.connected(&peer, ADDRESS, Via::Dialled, f.at(0)).unwrap();
    assert_eq!(addresses(), [listen_addrs[1].clone(), listen_addrs[0].clone()]);
}

#[test]
fn the_round_trip_is_the_last_and_a_smooth_one() {
    let f = with(|_| {});
    let peer = PeerId::random();
    assert!(f.table.saw(&peer, f.at(0)) && f.table.knows(&peer) && !f.table.is_empty());
    for ms in [8, 16] {
        f.table.round_trip(&peer, Duration::from_millis(ms));
    }
    let known = f.table.find(&peer, f.moment(0)).unwrap();
    assert_eq!(known.round_trip, Some(Duration::from_millis(16)));
    assert_eq!(known.smoothed_round_trip, Some(Duration::from_millis(9)));
}

#[test]
fn cores_that_work_on_it_at_once_leave_it_sound() {
    let f = with(|limits| limits.max_p2p_peers = 16);
    let ids: Vec<_> = (0..50).map(|_| PeerId::random()).collect();
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (f, ids) = (&f, &ids);
            scope.spawn(move || {
                let mut rng = Rng::new(seed);
                for now in 0..3_000 {
                    let place = f.connect(&ids[rng.below(50)], now).unwrap();
                    place.admit(f.at(0)).unwrap();
                    f.table.saw(&ids[rng.below(50)], f.at(now));
                }
            });
        }
    });
    assert_eq!((f.table.connected_peers(), f.table.len()), (0, 16));
}
