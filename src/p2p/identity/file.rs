//! Private keys in files: libp2p's protobuf encoding (specs, peer-ids), in base64 or as it is.

use std::path::Path;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use libp2p_identity::Keypair;

use super::Identity;
use crate::runtime::{Links, read_private};

/// More than the largest RSA key in use (8,192 bits) takes in base64.
const MAX_BYTES: u64 = 16 << 10;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn read(path: &Path) -> Result<Option<Identity>, String> {
    read_private(path, Links::Follow, MAX_BYTES)?
        .map(|content| Identity::from_private_key(&content))
        .transpose()
}

pub(super) fn read_own(path: &Path) -> Result<Option<Identity>, String> {
    read_private(path, Links::Refuse, MAX_BYTES)?
        .map(|content| Identity::from_private_key(&content))
        .transpose()
}

pub(super) fn encode(keypair: &Keypair) -> Result<String, String> {
    let bytes = keypair.to_protobuf_encoding().map_err(|_| "an RSA key cannot be written".to_owned())?;
    Ok(BASE64.encode(bytes) + "\n")
}

pub(super) fn decode(content: &[u8]) -> Result<Keypair, String> {
    const ALLOWED: &str = "allowed is libp2p's protobuf encoding of a private key, in base64 or as bytes";
    // The first field of the message is the kind of the key; no base64 begins with this byte.
    if content.first() == Some(&0x08) {
        return decode_protobuf(content);
    }
    let text = content.trim_ascii();
    if text.starts_with(b"-----BEGIN") {
        return Err(format!("it is a PEM file; {ALLOWED}"));
    }
    if text.starts_with(b"{") {
        return Err(format!("it is a JSON file; {ALLOWED}"));
    }
    // What the decoders say of a byte they cannot read is a piece of the secret.
    let bytes = BASE64.decode(text).map_err(|_| format!("it is not base64; {ALLOWED}"))?;
    decode_protobuf(&bytes)
}

fn decode_protobuf(bytes: &[u8]) -> Result<Keypair, String> {
    match bytes {
        [0x08, kind @ 0..=3, 0x12, ..] => Keypair::from_protobuf_encoding(bytes).map_err(|_| {
            let kind = ["an RSA", "an Ed25519", "a secp256k1", "an ECDSA"][usize::from(*kind)];
            format!(
                "it says that it is {kind} key, but its content is no such private key; is it a public one?"
            )
        }),
        _ => Err("it holds no private key as libp2p encodes them (a protobuf of kind and data)".to_owned()),
    }
}
