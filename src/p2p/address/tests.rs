use std::net::IpAddr;

use super::*;

/// From the specification of peer ids: one id in both forms.
const SHA256_CID: &str = "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe";
const SHA256: &str = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
const ED25519: &str = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";

#[test]
fn ids_are_read_in_both_forms_and_every_base() {
    let rsa = peer_id(SHA256).unwrap();
    assert_eq!(peer_id(SHA256_CID), Ok(rsa));
    assert_eq!((rsa.to_base58().as_str(), cid(&rsa).as_str()), (SHA256, SHA256_CID));
    for id in [rsa, peer_id(ED25519).unwrap(), PeerId::random()] {
        let bytes = [&[0x01, 0x72], id.to_bytes().as_slice()].concat();
        for base in ["b", "B", "k", "K", "z", "f", "F"] {
            let base = multibase::Base::from_code(base.parse().unwrap()).unwrap();
            let text = multibase::encode(base, &bytes);
            assert_eq!(peer_id(&text), Ok(id), "{text}");
        }
        assert_eq!(peer_id(&id.to_base58()), Ok(id));
    }
}

#[test]
fn what_is_no_id_is_refused_with_the_reason() {
    let base32 = |bytes: &[u8]| multibase::encode(multibase::Base::Base32Lower, bytes);
    let id = peer_id(ED25519).unwrap().to_bytes();
    for (text, reason) in [
        (String::new(), "neither base58"),
        ("hello".to_owned(), "no peer id"),
        ("12D3KooW".to_owned(), "invalid multihash"),
        ("Qm0OIl".to_owned(), "base-58"),
        ("bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi".to_owned(), "0x72"),
        (base32(&[0x00, 0x72]), "version 1"),
        (base32(&[]), "version 1"),
        (base32(&[&[0x01, 0x72, 0x13, 0x04], &[0; 4][..]].concat()), "unsupported multihash code"),
        (base32(&[&[0x01, 0x72], &id[..20]].concat()), "invalid multihash"),
        (multibase::encode(multibase::Base::Base64, [&[0x01, 0x72], &id[..]].concat()), "base32 (b…)"),
        ("b".repeat(161), "at most 160"),
    ] {
        let error = peer_id(&text).unwrap_err();
        assert!(error.contains(reason), "{text:?}: {error}");
    }
}

#[test]
fn addresses_of_peers_are_read_and_written() {
    let cases = [
        ("/ip4/192.0.2.1/tcp/4001", "192.0.2.1:4001"),
        ("/ip6/2001:db8::1/tcp/4001", "[2001:db8::1]:4001"),
        ("/dns/p2p/tcp/1", "p2p:1"),
        ("/dns4/a.example.org/tcp/65535", "a.example.org:65535"),
        ("/dns6/a_b-c.example.org./tcp/2", "a_b-c.example.org.:2"),
    ];
    for (address, endpoint) in cases {
        for name in ["p2p", "ipfs"] {
            for id in [SHA256, SHA256_CID] {
                let read: PeerAddress = format!("{address}/{name}/{id}").parse().unwrap();
                assert_eq!(read.endpoint().unwrap().to_string(), endpoint);
                assert_eq!(read.to_string(), format!("{address}/p2p/{SHA256}"));
                assert_eq!(PeerAddress::from_multiaddr(read.to_multiaddr()), Ok(read));
            }
        }
    }
    let read: PeerAddress = format!("/dns6/h/tcp/2/p2p/{ED25519}").parse().unwrap();
    let name = Endpoint::Name { host: "h".to_owned(), port: 2, family: Family::V6 };
    assert_eq!(read.endpoint(), Ok(name));
    assert!(Family::V6.allows(ip("::1")) && !Family::V6.allows(ip("127.0.0.1")));
}

#[test]
fn what_cannot_be_dialled_is_refused_with_the_reason() {
    for (address, reason) in [
        ("192.0.2.1:4001", "no / in front"),
        ("/", "nothing between two slashes"),
        ("/ip4/192.0.2.1/tcp/1/", "nothing between two slashes"),
        ("/ip4/192.0.2.1", "names no port"),
        ("/ip4/192.0.2.1/tcp/65536", "no port from 0 to 65535"),
        ("/ip4/192.0.2.256/tcp/1", "value of /ip4 cannot be read"),
        ("/ip4/192.0.2.1/tcp/0", "port 0"),
        ("/ip4/192.0.2.1/udp/1", "UDP"),
        ("/ip4/192.0.2.1/udp/1/quic-v1", "UDP"),
        ("/ip4/192.0.2.1/tcp/1/ws", "/ws"),
        ("/ip4/192.0.2.1/tcp/1/tls/ws", "/tls"),
        ("/ip4/192.0.2.1/p2p-circuit", "/tcp/PORT is due"),
        (
            "/ip4/192.0.2.1/tcp/1/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA/p2p-circuit",
            "relay",
        ),
        ("/dnsaddr/example.org", "begins with /dnsaddr"),
        ("/dns4/1.2.3.4/tcp/1", "/ip4"),
        ("/dns4/2130706433/tcp/1", "/ip4"),
        ("/dns4/a b/tcp/1", "name of a host"),
        ("/unix/x", "begins with /unix"),
        ("/nosuch/x", "/nosuch is not known"),
    ] {
        let error = format!("{address}/p2p/{ED25519}").parse::<PeerAddress>().unwrap_err();
        assert!(error.contains(reason), "{address}: {error}");
    }
    for (text, reason) in [
        ("/ip4/192.0.2.1/tcp/1", "end in /p2p/ID"),
        ("", "no / in front"),
        ("/ip4/192.0.2.1/tcp", "value of /tcp is due"),
        ("/ip4/192.0.2.1/tcp/1/p2p", "a peer id is due"),
        ("/ip4/192.0.2.1/tcp/1/p2p/x", "no peer id"),
        (&format!("/ip4/192.0.2.1/tcp/1/p2p/{SHA256}/p2p/{ED25519}"), "two peers"),
        ("/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA", "does not say where"),
    ] {
        let error = text.parse::<PeerAddress>().unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
    let long = format!("/dns4/{}/tcp/1", "a".repeat(MAX_TEXT_BYTES));
    assert!(read_multiaddr(&long).unwrap_err().contains("at most 1024"));
    let name = format!("/dns4/{}/tcp/1/p2p/{ED25519}", "a".repeat(254));
    assert!(name.parse::<PeerAddress>().unwrap_err().contains("name of a host"));
}

#[test]
fn listeners_have_addresses_and_may_leave_the_port_open() {
    assert_eq!(listen_address("/ip4/0.0.0.0/tcp/0"), Ok("0.0.0.0:0".parse().unwrap()));
    assert_eq!(listen_address("/ip6/::1/tcp/4001"), Ok("[::1]:4001".parse().unwrap()));
    for text in ["/dns/localhost/tcp/1", "/ip4/1.2.3.4/udp/1", "/ip4/1.2.3.4", "127.0.0.1:1"] {
        assert!(listen_address(text).is_err(), "{text}");
    }
    let text = format!("/ip4/1.2.3.4/tcp/1/p2p/{ED25519}");
    assert!(listen_address(&text).unwrap_err().contains("/p2p"));
}

#[test]
fn a_mapped_address_is_written_as_what_it_is() {
    assert_eq!(multiaddr("[::ffff:192.0.2.1]:7".parse().unwrap()).to_string(), "/ip4/192.0.2.1/tcp/7");
    assert_eq!(multiaddr("[::1]:7".parse().unwrap()).to_string(), "/ip6/::1/tcp/7");
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn places_are_judged_by_what_a_dial_reaches() {
    for (text, expected) in [
        ("0.0.0.0", Place::Unspecified),
        ("0.1.2.3", Place::Unspecified),
        ("::", Place::Unspecified),
        ("::ffff:0.0.0.0", Place::Unspecified),
        ("127.0.0.1", Place::Loopback),
        ("127.255.255.254", Place::Loopback),
        ("::1", Place::Loopback),
        ("::ffff:127.0.0.1", Place::Loopback),
        ("::127.0.0.1", Place::Loopback),
        ("64:ff9b::7f00:1", Place::Loopback),
        ("2002:7f00:1::", Place::Loopback),
        ("169.254.169.254", Place::LinkLocal),
        ("::ffff:169.254.169.254", Place::LinkLocal),
        ("64:ff9b::a9fe:a9fe", Place::LinkLocal),
        ("fe80::1", Place::LinkLocal),
        ("febf::1", Place::LinkLocal),
        ("224.0.0.1", Place::Many),
        ("255.255.255.255", Place::Many),
        ("ff02::1", Place::Many),
        ("fec0::1", Place::Private),
        ("fd00::1", Place::Private),
        ("10.0.0.1", Place::Private),
        ("172.31.0.1", Place::Private),
        ("192.168.1.1", Place::Private),
        ("::ffff:192.168.1.1", Place::Private),
        ("2002:a00:1::", Place::Private),
        ("100.64.0.1", Place::Private),
        ("100.128.0.1", Place::Elsewhere),
        ("172.32.0.1", Place::Elsewhere),
        ("192.0.2.1", Place::Elsewhere),
        ("::ffff:192.0.2.1", Place::Elsewhere),
        ("2001:db8::1", Place::Elsewhere),
    ] {
        assert_eq!(place(ip(text)), expected, "{text}");
    }
    assert!(place(ip("1.1.1.1")).is_elsewhere() && !place(ip("::1")).is_elsewhere());
}

#[test]
fn an_unspecified_listener_is_reached_at_each_address_of_its_family() {
    let machine = ["127.0.0.1", "192.0.2.1", "169.254.0.1", "::1", "2001:db8::1", "fe80::1"].map(ip);
    let at = |text: &str| -> Vec<String> {
        reachable(text.parse().unwrap(), &machine).iter().map(ToString::to_string).collect()
    };
    assert_eq!(at("0.0.0.0:7"), ["127.0.0.1:7", "192.0.2.1:7"]);
    assert_eq!(at("[::]:7"), ["[::1]:7", "[2001:db8::1]:7"]);
    assert_eq!(at("192.0.2.9:7"), ["192.0.2.9:7"]);
}
