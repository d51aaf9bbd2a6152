use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_lite::future::{block_on, zip};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p_core::SignedEnvelope;

use super::super::pipe::pipe;
use super::wire::{put_bytes, put_varint, take_varint};
use super::*;

/// What py-libp2p 0.8.1 answered, length in front.
const RECORDED: &str = "hwMKJAgBEiBc4jx2UzRGNtF1JV3jFf/AOP+9hBHmSe7fqRtDZkWA5xIIBH8AAAEGTP4aDi9pcGZzL2lkLzEuMC4wGhMvaXBmcy9pZC9wdXNoLzEuMC4wGhAvaXBmcy9waW5nLzEuMC4wGh8vaXBmcy1kYXRhc2V0cy90YXNrLXF1ZXVlLzEuMC4wIggEfwAAAQbhXioKaXBmcy8wLjEuMDIPcHktbGlicDJwLzAuOC4xQtUBCiQIARIgXOI8dlM0RjbRdSVd4xX/wDj/vYQR5knu36kbQ2ZFgOcSAgMBGmcKJgAkCAESIFziPHZTNEY20XUlXeMV/8A4/72EEeZJ7t+pG0NmRYDnELrgouS8oZf1GBozCjEEfwAAAQZM/qUDJgAkCAESIFziPHZTNEY20XUlXeMV/8A4/72EEeZJ7t+pG0NmRYDnKkCBOqa1Xtz37mmbpsmoesTBOTcbDkplDBpb2loohB/Q6XJVmstWk40Y9k6xB/eP83bzje8Bo6M0PQbaQSLa7q8P";

fn address(text: &str) -> Multiaddr {
    text.parse().unwrap()
}

fn recorded() -> (Vec<u8>, Info) {
    let bytes = STANDARD.decode(RECORDED).unwrap();
    let mut message = &bytes[..];
    assert_eq!(take_varint(&mut message).unwrap() as usize, message.len());
    let info = Info::decode(message).unwrap();
    (bytes, info)
}

/// A message of one field.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    put_bytes(&mut message, number, bytes);
    message
}

#[test]
fn a_recorded_answer_is_read_and_written_to_the_byte() {
    let (bytes, info) = recorded();
    assert_eq!(info.agent_version.as_deref(), Some("py-libp2p/0.8.1"));
    assert_eq!(info.protocol_version.as_deref(), Some(PROTOCOL_VERSION));
    let expected =
        ["/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0", "/ipfs-datasets/task-queue/1.0.0"];
    assert_eq!(info.protocols, expected);
    assert_eq!(info.listen_addrs, [address("/ip4/127.0.0.1/tcp/19710")]);
    assert_eq!(info.observed_addr, Some(address("/ip4/127.0.0.1/tcp/57694")));
    let peer: PeerId = "12D3KooWG4wm7hecJimePtzwhH3hTRKDUG9SU2KtKAJ1hwd1pVRp".parse().unwrap();
    info.check_key(&peer).unwrap();
    assert!(matches!(info.check_key(&PeerId::random()), Err(IdentifyError::WrongKey)));
    assert_eq!(info.encode(), bytes);
}

#[test]
fn ours_is_signed_and_small_enough_for_everybody() {
    let identity = Identity::ephemeral();
    let many: Vec<_> = (0..100).map(|n| address(&format!("/ip6/2001:db8::{n}/tcp/4001"))).collect();
    let info = Info::of(&identity, &many, &["/a/1", "/b/2"]);
    assert_eq!(
        (info.listen_addrs.len(), info.agent_version.as_deref()),
        (MAX_ADDRESSES, Some(AGENT_VERSION))
    );
    let seen = info.seen_from(address("/ip6/2001:db8::ffff/tcp/65535"));
    let message = seen.encode();
    assert!(message.len() <= MAX_SENT_BYTES, "{}", message.len());
    let read = Info::decode(&message[2..]).unwrap();
    assert_eq!(read, seen);
    read.check_key(&identity.peer_id()).unwrap();
    let envelope = SignedEnvelope::from_protobuf_encoding(&read.signed_peer_record.unwrap()).unwrap();
    let record = PeerRecord::from_signed_envelope_interop(envelope).unwrap();
    assert_eq!((record.peer_id(), record.addresses()), (identity.peer_id(), &many[..MAX_ADDRESSES]));
    let rsa = include_bytes!("../../../tests/keys/rsa_of_the_specification.key");
    let info = Info::of(&Identity::from_private_key(rsa).unwrap(), &many, &["/a/1"]);
    assert!(info.signed_peer_record.is_some() && info.encode().len() + 40 <= MAX_SENT_BYTES);
    // Long names would not fit twice.
    let long: Vec<_> = (0..12).map(|n| address(&format!("/dns/{}{n}/tcp/4001", "a".repeat(240)))).collect();
    let info = Info::of(&identity, &long, &[]);
    assert_eq!((info.listen_addrs.len(), info.signed_peer_record), (12, None));
}

#[test]
fn what_is_beyond_the_bounds_is_left_out() {
    let mut message = Vec::new();
    for n in 0..200_u16 {
        message.extend(field(3, format!("/{n}").as_bytes()));
        message.extend(field(2, address(&format!("/ip4/1.2.3.4/tcp/{n}")).as_ref()));
    }
    message.extend(field(3, &[b'a'; MAX_NAME_BYTES + 1]));
    message.extend(field(6, "é".repeat(MAX_NAME_BYTES).as_bytes()));
    let info = Info::decode(&message).unwrap();
    assert_eq!((info.protocols.len(), info.listen_addrs.len()), (MAX_PROTOCOLS, MAX_ADDRESSES));
    assert_eq!(info.agent_version.unwrap(), "é".repeat(MAX_NAME_BYTES / 2));
    // Addresses of kinds that are not known, and empty ones, are no error.
    let odd = [
        field(2, &[0xff, 0xff, 3]),
        field(2, &[]),
        field(4, &[]),
        field(2, address("/ip4/1.2.3.4/tcp/1").as_ref()),
    ];
    let info = Info::decode(&odd.concat()).unwrap();
    assert_eq!((info.listen_addrs.len(), info.observed_addr), (1, None));
    assert!(matches!(Info::decode(&vec![0; MAX_MESSAGE_BYTES + 1]), Err(IdentifyError::TooLong)));
}

#[test]
fn unknown_fields_are_passed_over_and_the_last_of_two_counts() {
    let mut message = [field(6, b"a"), field(6, b"b"), field(9, b"x"), field(1_000, b"x")].concat();
    message.extend([9 << 3, 0x80, 1]);
    message.extend([(9 << 3) | 1, 1, 2, 3, 4, 5, 6, 7, 8]);
    message.extend([(9 << 3) | 5, 1, 2, 3, 4]);
    let info = Info::decode(&message).unwrap();
    assert_eq!(info, Info { agent_version: Some("b".to_owned()), ..Info::default() });
    assert_eq!(Info::decode(b"").unwrap(), Info::default());
}

#[test]
fn what_is_malformed_is_refused_with_the_reason() {
    for (message, reason) in [
        (&[0x0a][..], "inside a number"),
        (&[0x0a, 5, 1], "inside a field"),
        (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "inside a field"),
        (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], "64 bits"),
        (&[0x80; 11], "64 bits"),
        (&[0x02, 0], "number that is not allowed"),
        (&[0x0b], "type that is not used"),
        (&[0x0c], "type that is not used"),
        (&[0x0e], "type that is not used"),
        (&[0x08, 1], "where bytes are due"),
        (&[0x45, 1, 2, 3, 4], "where bytes are due"),
        (&[0x49, 1, 2], "inside a field"),
        (&[0x32, 1, 0xff], "UTF-8"),
        (&[0x1a, 1, 0xff], "UTF-8"),
    ] {
        let error = Info::decode(message).unwrap_err().to_string();
        assert!(error.contains(reason), "{message:?}: {error}");
    }
}

#[test]
fn a_key_that_is_none_is_of_nobody() {
    let info = Info { public_key: Some(vec![1, 2, 3]), ..Info::default() };
    assert!(info.check_key(&PeerId::random()).is_err());
    assert!(Info::default().check_key(&PeerId::random()).is_ok());
}

#[test]
fn both_sides_meet_over_a_stream_of_small_pieces() {
    let info = Info::of(&Identity::ephemeral(), &[address("/ip4/1.2.3.4/tcp/1")], &["/a"]);
    let (one, other) = pipe();
    let (sent, got) = block_on(zip(answer(one, &info), ask(other)));
    assert!(sent.is_ok());
    assert_eq!(got.unwrap(), info);
    let (one, other) = pipe();
    let change = Info { protocols: vec!["/b".to_owned()], ..Info::default() };
    let (sent, got) = block_on(zip(push(one, &change), take_push(other)));
    assert!(sent.is_ok());
    assert_eq!(got.unwrap(), change);
}

#[test]
fn a_long_or_broken_message_is_refused_before_it_is_read() {
    let mut huge = Vec::new();
    put_varint(&mut huge, MAX_MESSAGE_BYTES as u64 + 1);
    for (bytes, reason) in [
        (huge.as_slice(), "longer than 8192"),
        (&[0xff; 10], "longer than 8192"),
        (&[0x80, 0x80, 0x01], "longer than 8192"),
        (&[5, 1, 2], "failed"),
        (&[], "failed"),
        (&[1, 0x0b], "type that is not used"),
    ] {
        let (mut one, other) = pipe();
        let sending = async move {
            one.write_all(bytes).await.unwrap();
            one.close().await.unwrap();
            // Nobody answers.
            assert_eq!(one.read(&mut [0; 1]).await.unwrap(), 0);
        };
        let (got, ()) = block_on(zip(ask(other), sending));
        let error = got.unwrap_err().to_string();
        assert!(error.contains(reason), "{bytes:?}: {error}");
    }
}
