use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// From the specification of peer ids.
const ED25519: &str = "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e";
const SECP256K1: &str = "0802122053DADF1D5A164D6B4ACDB15E24AA4C5B1D3461BDBD42ABEDB0A4404D56CED8FB";
const ECDSA: &str = "08031279307702010104203E5B1FE9712E6C314942A750BD67485DE3C1EFE85B1BFB520AE8F9AE3DFA4A4CA00A06082A8648CE3D030107A14403420004DE3D300FA36AE0E8F5D530899D83ABAB44ABF3161F162A4BC901D8E6ECDA020E8B6D5F8DA30525E71D6851510C098E5C47C646A597FB4DCEC034E9F77C409E62";
const ED25519_PUBLIC: &str = "080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e";

const RSA: &str = include_str!("../../../tests/keys/rsa_of_the_specification.key");

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn the_keys_of_the_specification_are_read() {
    for (key, kind, start) in
        [(ED25519, "ed25519", "12D3KooW"), (SECP256K1, "secp256k1", "16Uiu2"), (ECDSA, "ecdsa", "Qm")]
    {
        let raw = Identity::from_private_key(&bytes(key)).unwrap();
        assert_eq!(raw.key_kind(), kind);
        assert!(raw.base58().starts_with(start), "{}", raw.base58());
        assert!(raw.cid().starts_with("bafz"));
        let text = raw.to_private_key().unwrap();
        assert!(text.ends_with('\n') && text.lines().count() == 1 && text.starts_with("CA"));
        for text in [
            text.as_str(),
            text.trim_end(),
            text.trim_end().trim_end_matches('='),
            &format!("\n {text} \r\n"),
        ] {
            assert_eq!(Identity::from_private_key(text.as_bytes()).unwrap().peer_id(), raw.peer_id());
        }
    }
    let public = Identity::from_private_key(&bytes(ED25519)).unwrap().keypair().public();
    assert_eq!(public.encode_protobuf(), bytes(ED25519_PUBLIC));
}

#[test]
fn an_rsa_key_is_read_and_not_written() {
    let identity = Identity::from_private_key(RSA.as_bytes()).unwrap();
    assert_eq!(identity.key_kind(), "rsa");
    assert!(identity.base58().starts_with("Qm"));
    assert!(identity.to_private_key().unwrap_err().contains("RSA"));
    // What it signs is what a peer with its public key accepts.
    let signature = identity.keypair().sign(b"text").unwrap();
    assert!(identity.keypair().public().verify(b"text", &signature));
}

#[test]
fn what_is_no_private_key_is_refused_and_not_repeated() {
    let sound = Identity::ephemeral().to_private_key().unwrap();
    let mut broken = sound.clone();
    broken.insert(30, '!');
    for (content, reason) in [
        (&b"hunter2 hunter2"[..], "not base64"),
        (b"hunter2=", "not base64"),
        (b"aHVudGVyMg==", "no private key as libp2p"),
        (broken.as_bytes(), "not base64"),
        (&sound.as_bytes()[..40], "is an Ed25519 key, but"),
        (&bytes(ED25519_PUBLIC), "is it a public one?"),
        (&[8, 7, 0x12, 0], "no private key as libp2p"),
        (&[8, 0, 0x12, 0], "an RSA"),
        (b"-----BEGIN PRIVATE KEY-----\n", "PEM"),
        (br#"{"id":"x"}"#, "JSON"),
        (b"", "no private key"),
    ] {
        let error = Identity::from_private_key(content).unwrap_err();
        assert!(error.contains(reason), "{error}");
        assert!(!error.contains("hunter2") && !error.contains(&sound[6..20]), "{error}");
    }
}

#[test]
fn nothing_shows_the_key() {
    let identity = Identity::from_private_key(&bytes(ED25519)).unwrap();
    assert_eq!(format!("{identity:?}"), format!("Identity({:?})", identity.base58()));
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    shared(&identity);
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let error = Identity::from_file(&path).unwrap_err().to_string();
    assert!(error.contains("key: there is no such file"), "{error}");
    assert!(Identity::from_own_file(&path).unwrap().is_none());
    let identity = Identity::ephemeral();
    std::fs::write(&path, identity.to_private_key().unwrap()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Identity::from_file(&path).unwrap_err().to_string().contains("chmod 600"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(Identity::from_file(&path).unwrap().peer_id(), identity.peer_id());
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_eq!(Identity::from_file(&link).unwrap().peer_id(), identity.peer_id());
    assert!(Identity::from_own_file(&link).is_err());
    assert_eq!(Identity::from_own_file(&path).unwrap().unwrap().peer_id(), identity.peer_id());
}
