//! Peer ids as text: base58 of the multihash, or a CIDv1 in a multibase (libp2p specs, peer-ids).

use multibase::Base;

use super::PeerId;

/// The longest text of a peer id: a CIDv1 in the widest base, base16, and some.
const MAX_ID_CHARS: usize = 160;
/// CIDv1, then the codec `libp2p-key`.
const CID_PREFIX: [u8; 2] = [0x01, 0x72];

/// A peer id, in base58 (`12D3…`, `16Ui…`, `Qm…`) or as CIDv1 (`bafz…`, `k51…`, `z5A…`).
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn peer_id(text: &str) -> Result<PeerId, String> {
    if text.len() > MAX_ID_CHARS {
        return Err(format!("a peer id has at most {MAX_ID_CHARS} characters, not {}", text.len()));
    }
    let wrong = |problem: &str| format!("{text:?} is no peer id: {problem}");
    // No CIDv1 begins like these: neither is the letter of a multibase that ids are written in.
    if text.starts_with('1') || text.starts_with("Qm") {
        return text.parse().map_err(|error| wrong(&format!("{error}")));
    }
    let (base, bytes) =
        multibase::decode(text).map_err(|_| wrong("it is neither base58 (1… or Qm…) nor a CIDv1 (bafz…)"))?;
    if !matches!(
        base,
        Base::Base32Lower
            | Base::Base32Upper
            | Base::Base36Lower
            | Base::Base36Upper
            | Base::Base58Btc
            | Base::Base16Lower
            | Base::Base16Upper
    ) {
        return Err(wrong("a CIDv1 is written in base32 (b…), base36 (k…), base58 (z…) or base16 (f…)"));
    }
    let multihash = match bytes.as_slice() {
        [0x01, 0x72, multihash @ ..] => multihash,
        [0x01, ..] => {
            return Err(wrong("it is the CID of something else: its codec is not libp2p-key (0x72)"));
        }
        _ => return Err(wrong("it is not version 1 of a CID")),
    };
    PeerId::from_bytes(multihash).map_err(|error| wrong(&error.to_string()))
}

/// The id as CIDv1 in base32, `bafz…`.
pub fn cid(peer_id: &PeerId) -> String {
    let mut bytes = CID_PREFIX.to_vec();
    bytes.extend(peer_id.to_bytes());
    multibase::encode(Base::Base32Lower, bytes)
}
