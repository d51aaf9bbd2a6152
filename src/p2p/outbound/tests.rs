#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use futures_lite::future::block_on;

use super::*;
use crate::p2p::Keypair;

fn peer() -> PeerId {
    Keypair::generate_ed25519().public().to_peer_id()
}

fn policy(bootstrap: &[String], allowed: &[PeerId], any: bool) -> DialPolicy {
    let bootstrap = bootstrap.iter().map(|text| text.parse().unwrap()).collect();
    DialPolicy::new(bootstrap, allowed.iter().copied(), Some("s3cret"), any)
}

fn nobody(_: &PeerId) -> bool {
    false
}

#[test]
fn only_peers_that_the_node_has_reason_to_know_are_dialled() {
    let (boot, allowed, met, stranger) = (peer(), peer(), peer(), peer());
    let at = |id: &PeerId| format!("/ip4/192.0.2.1/tcp/4001/p2p/{id}");
    let rules = policy(&[at(&boot)], &[allowed], false);
    let judge = |text: &str| rules.judge(text, |id| *id == met);
    for known in [boot, allowed, met] {
        assert_eq!(judge(&at(&known)).unwrap().address().peer_id, known);
    }
    assert_eq!(judge(&at(&stranger)), Err(DialRefusal::Unknown(stranger)));
    assert!(judge(&at(&stranger)).unwrap_err().to_string().contains("p2p_dial"));
    assert!(policy(&[], &[], true).judge(&at(&stranger), nobody).is_ok());
    for nameless in ["/ip4/192.0.2.1/tcp/4001", "", "192.0.2.1:4001", "/ip4/192.0.2.1/tcp/0/p2p/x"] {
        assert!(matches!(judge(nameless), Err(DialRefusal::Address(_))), "{nameless}");
    }
    let relayed = format!("/ip4/192.0.2.1/tcp/1/p2p/{boot}/p2p-circuit/p2p/{allowed}");
    assert!(matches!(judge(&relayed), Err(DialRefusal::Address(_))));
}

#[test]
fn a_caller_cannot_send_the_node_to_places_of_its_own() {
    let known = peer();
    let rules = policy(&[], &[known], false);
    for place in [
        "/ip4/127.0.0.1",
        "/ip4/127.255.0.1",
        "/ip4/0.0.0.0",
        "/ip4/169.254.169.254",
        "/ip4/10.0.0.1",
        "/ip4/192.168.1.1",
        "/ip4/100.64.0.1",
        "/ip4/224.0.0.1",
        "/ip4/255.255.255.255",
        "/ip6/::1",
        "/ip6/::",
        "/ip6/fe80::1",
        "/ip6/fd00::1",
        "/ip6/::ffff:127.0.0.1",
        "/ip6/::ffff:10.0.0.1",
        "/ip6/64:ff9b::7f00:1",
        "/ip6/2002:7f00:1::",
    ] {
        let text = format!("{place}/tcp/22/p2p/{known}");
        let refusal = rules.judge(&text, nobody).unwrap_err();
        assert!(matches!(refusal, DialRefusal::Place { .. }), "{text}: {refusal}");
        assert!(policy(&[], &[known], true).judge(&text, nobody).is_ok(), "{text}");
        assert!(
            policy(std::slice::from_ref(&text), &[], false).judge(&text, nobody).is_ok(),
            "the operator wrote {text}"
        );
    }
    let text = format!("/ip4/127.0.0.1/tcp/22/p2p/{known}");
    let other_port = format!("/ip4/127.0.0.1/tcp/23/p2p/{known}");
    assert!(policy(&[text], &[], false).judge(&other_port, nobody).is_err(), "another port was not written");
}

#[test]
fn a_name_is_judged_by_what_it_turns_out_to_be() {
    let known = peer();
    let rules = policy(&[], &[known], false);
    let target = rules.judge(&format!("/dns/peer.example/tcp/4001/p2p/{known}"), nobody).unwrap();
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    let refused = target.among(&[at("127.0.0.1:4001"), at("[::1]:4001")]).unwrap_err();
    assert!(matches!(refused, DialRefusal::Place { place: Place::Loopback, .. }), "{refused}");
    let admitted = target.among(&[at("127.0.0.1:4001"), at("192.0.2.7:4001")]).unwrap();
    assert_eq!(admitted, [at("192.0.2.7:4001")]);
    assert!(matches!(target.among(&[]), Err(DialRefusal::Resolve(_))));
}

#[test]
fn a_name_of_this_machine_is_refused_after_its_look_up_too() {
    let known = peer();
    for family in ["dns", "dns4"] {
        let text = format!("/{family}/localhost/tcp/4001/p2p/{known}");
        // The name of this machine is known without the resolver, so that no executor is needed.
        let look_up = |any| {
            let target = policy(&[], &[known], any).judge(&text, nobody).unwrap();
            block_on(target.addresses(std::time::Duration::from_secs(1)))
        };
        assert!(matches!(look_up(false), Err(DialRefusal::Place { .. })), "{text}");
        let dialled = look_up(true).unwrap();
        assert!(dialled.iter().all(|it| it.ip().is_loopback() && it.port() == 4_001), "{dialled:?}");
    }
}

#[test]
fn what_a_peer_announces_is_judged_when_it_is_dialled_unless_the_operator_named_the_peer() {
    let (named, stranger) = (peer(), peer());
    let rules = policy(&[], &[named], false);
    let dial = |peer: &PeerId, place: &str| {
        let address = format!("{place}/tcp/4001/p2p/{peer}").parse().unwrap();
        let target = rules.announced(address);
        block_on(target.addresses(std::time::Duration::from_secs(1))).inspect_err(|_| {
            assert_eq!(target.check().is_err(), place.starts_with("/ip"), "{place}");
        })
    };
    for place in ["/ip4/127.0.0.1", "/ip4/10.0.0.1", "/ip6/::1", "/dns/localhost"] {
        assert!(matches!(dial(&stranger, place), Err(DialRefusal::Place { .. })), "{place}");
        assert!(dial(&named, place).is_ok(), "{place}");
    }
    assert!(dial(&stranger, "/ip4/192.0.2.1").is_ok());
    let written = DialTarget::written(format!("/ip4/127.0.0.1/tcp/1/p2p/{stranger}").parse().unwrap());
    assert!(written.check().is_ok());
    // A multiaddr that was not read as a peer's address may be of any kind.
    let address = "/ip4/192.0.2.1/udp/1".parse().unwrap();
    let odd = DialTarget::written(PeerAddress { address, peer_id: stranger });
    assert!(matches!(odd.check(), Err(DialRefusal::Address(_))));
}

#[test]
fn the_token_is_for_peers_of_the_configuration_alone() {
    let (boot, allowed, stranger) = (peer(), peer(), peer());
    for any in [false, true] {
        let rules = policy(&[format!("/ip4/192.0.2.1/tcp/1/p2p/{boot}")], &[allowed], any);
        assert_eq!(rules.token_for(&boot), Some("s3cret"));
        assert!(rules.token_for(&allowed).is_some() && rules.token_for(&stranger).is_none());
        assert!(!format!("{rules:?}").contains("s3cret"));
    }
    assert!(DialPolicy::new(vec![], [boot], Some(""), true).token_for(&boot).is_none());
}
