use std::io;

use super::*;

type Shaken = Result<PeerId, HandshakeError>;

async fn side(sim: Sim, end: End, role: Role, key: Keypair) -> Shaken {
    let (handle, driver, found) = upgrade(end, role, &key, &StackOptions::default()).await?;
    // The last message of the handshake leaves with the first turn of the driver.
    start(&sim, handle, driver, Inbound::Echo);
    Ok(found)
}

/// What the dialer and the listener make of each other; `None` where one would wait for ever.
fn shake(seed: u64, link: Link, keys: (Keypair, Keypair), expected: Option<PeerId>) -> Option<[Shaken; 2]> {
    Sim::try_run(seed, move |sim| async move {
        let (mine, yours) = wire(&sim, link);
        let dialer = sim.spawn(side(sim.clone(), mine, Role::Dialer { expected }, keys.0));
        let listener = sim.spawn(side(sim.clone(), yours, Role::Listener, keys.1));
        [dialer.await, listener.await]
    })
}

fn kinds() -> [Keypair; 4] {
    let mut rsa = *include_bytes!("rsa_2048.pk8");
    [
        Keypair::generate_ed25519(),
        Keypair::rsa_from_pkcs8(&mut rsa).unwrap(),
        Keypair::generate_secp256k1(),
        Keypair::generate_ecdsa(),
    ]
}

#[test]
fn peers_with_keys_of_every_kind_recognise_each_other_over_any_wire() {
    let kinds = kinds();
    for (seed, (a, b)) in kinds.iter().flat_map(|a| kinds.iter().map(move |b| (a, b))).enumerate() {
        for link in [Link::PLAIN, Link::ROUGH, Link::TINY] {
            let [dialer, listener] =
                shake(seed as u64, link, (a.clone(), b.clone()), Some(id(b))).expect("nobody waits for ever");
            assert_eq!((dialer.unwrap(), listener.unwrap()), (id(b), id(a)));
        }
    }
}

#[test]
fn one_noise_key_serves_any_number_of_connections_in_both_directions() {
    Sim::run(1, |sim| async move {
        let identity = kinds()[1].clone();
        let key = NoiseKey::new(&identity).unwrap();
        for round in 0..4 {
            let (mine, yours) = wire(&sim, Link::ROUGH);
            let (ours, theirs, other) = (key.clone(), yours, Keypair::generate_ed25519());
            let roles = [Role::Dialer { expected: None }, Role::Listener];
            let [our_role, their_role] = if round % 2 == 0 { roles } else { [roles[1], roles[0]] };
            let peer = sim.spawn(side(sim.clone(), theirs, their_role, other.clone()));
            let options = StackOptions::default();
            let (handle, driver, found) = upgrade_with(mine, our_role, &ours, &options).await.unwrap();
            start(&sim, handle, driver, Inbound::Echo);
            assert_eq!((found, peer.await.unwrap()), (id(&other), id(&identity)), "round {round}");
        }
    });
}

#[test]
fn the_handshake_takes_a_packet_of_each_and_then_one_that_already_carries_streams() {
    Sim::run(1, |sim| async move {
        let (mine, yours) = wire(&sim, Link::PLAIN);
        let tap = mine.tap();
        let (a, b) = keys();
        let listener = sim.spawn(side(sim.clone(), yours, Role::Listener, b));
        let dialled = upgrade(mine, Role::Dialer { expected: None }, &a, &StackOptions::default()).await;
        let (handle, driver, _) = dialled.unwrap();
        assert_eq!(tap.sends(), [1, 1]);
        let (mut stream, _) = handle.open(&[ECHO]).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        start(&sim, handle, driver, Inbound::Echo);
        stream.read_exact(&mut [0; 5]).await.unwrap();
        // The listener says that it speaks Yamux, and answers.
        let sends = tap.sends();
        assert!(sends[0] <= 3 && sends[1] <= 3, "{sends:?}");
        listener.await.unwrap();
    });
}

#[test]
fn whoever_is_not_the_expected_peer_is_named_with_the_one_expected() {
    let ((a, b), (c, _)) = (keys(), keys());
    let [dialer, _] = shake(1, Link::PLAIN, (a, b.clone()), Some(id(&c))).unwrap();
    let error = dialer.unwrap_err();
    let HandshakeError::WrongPeer { expected, found } = &error else { panic!("{error}") };
    assert_eq!((*expected, *found), (id(&c), id(&b)));
    assert!(
        error.to_string().contains(&id(&c).to_string()) && error.to_string().contains(&id(&b).to_string())
    );
}

/// How many bytes each side sends in a handshake of two Ed25519 keys, the first frames of Yamux included.
fn lengths() -> [usize; 2] {
    Sim::run(1, |sim| async move {
        let (mine, yours) = wire(&sim, Link::PLAIN);
        let tap = mine.tap();
        let (a, b) = keys();
        let listener = sim.spawn(side(sim.clone(), yours, Role::Listener, b));
        side(sim, mine, Role::Dialer { expected: None }, a).await.unwrap();
        listener.await.unwrap();
        tap.carried()
    })
}

#[test]
fn a_handshake_that_is_cut_at_any_byte_ends_on_both_sides() {
    let lengths = lengths();
    let keys = keys();
    for side in [0, 1] {
        for cut in 0..lengths[side] {
            let mut link = Link::PLAIN;
            link.cut[side] = Some(cut);
            let [dialer, listener] = shake(cut as u64, link, keys.clone(), None)
                .unwrap_or_else(|| panic!("cut at {cut} of {side}, and somebody waits"));
            for shaken in [dialer, listener] {
                match shaken {
                    Ok(_) | Err(HandshakeError::Io(_)) => {}
                    // The end of a stream is how a dialer says that it has nothing more to propose.
                    Err(HandshakeError::Refused(_)) => {}
                    Err(error) => panic!("cut at {cut} of {side}: {error}"),
                }
            }
        }
    }
}

#[test]
fn a_handshake_with_any_bit_changed_makes_no_connection_with_somebody_else() {
    let lengths = lengths();
    let keys = keys();
    for side in [0, 1] {
        let mut failed = 0;
        for byte in 0..lengths[side] {
            let mut link = Link::PLAIN;
            link.spoiled[side] = Some(byte);
            // Where a length has grown, the reader waits for what never comes: that is for the clock of the caller.
            let Some([dialer, listener]) = shake(byte as u64, link, keys.clone(), None) else { continue };
            failed += usize::from(dialer.is_err() || listener.is_err());
            assert!(dialer.is_err() || dialer.unwrap() == id(&keys.1));
            assert!(listener.is_err() || listener.unwrap() == id(&keys.0));
        }
        assert!(failed * 2 > lengths[side], "{failed} of {} changes were found out", lengths[side]);
    }
}

/// What a listener makes of bytes that are no handshake.
fn listened(bytes: &'static [u8]) -> HandshakeError {
    Sim::run(1, |sim| async move {
        let (mut mine, yours) = wire(&sim, Link::PLAIN);
        let listener = sim.spawn(side(sim.clone(), yours, Role::Listener, keys().1));
        mine.write_all(bytes).await.unwrap();
        mine.close().await.unwrap();
        listener.await.unwrap_err()
    })
}

#[test]
fn what_is_no_handshake_is_told_apart() {
    let http =
        listened(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n                                                  ");
    assert!(matches!(http, HandshakeError::Multistream(_)), "{http}");
    let tls = listened(b"\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n");
    assert!(matches!(tls, HandshakeError::Refused("/noise")), "{tls}");
    let noise =
        listened(b"\x13/multistream/1.0.0\n\x07/noise\n\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x00\x03abc");
    assert!(matches!(noise, HandshakeError::Noise(_)), "{noise}");
    let short = listened(b"\x13/multistream/1.0.0\n\x07/noise\n\x00\x20aaaa");
    assert!(matches!(&short, HandshakeError::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof), "{short}");
    let nothing = listened(b"");
    assert!(matches!(nothing, HandshakeError::Refused(_) | HandshakeError::Io(_)), "{nothing}");
}

#[test]
fn a_dialer_is_told_that_the_peer_speaks_no_noise() {
    Sim::run(1, |sim| async move {
        let (mine, mut yours) = wire(&sim, Link::PLAIN);
        let dialer = sim.spawn(side(sim.clone(), mine, Role::Dialer { expected: None }, keys().0));
        yours.write_all(b"\x13/multistream/1.0.0\n\x03na\n").await.unwrap();
        yours.flush().await.unwrap();
        let error = dialer.await.unwrap_err();
        assert!(matches!(error, HandshakeError::Refused("/noise")), "{error}");
    });
}
