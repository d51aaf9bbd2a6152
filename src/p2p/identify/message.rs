//! The message: its fields, and what is kept of them.

use libp2p_core::Multiaddr;

use super::wire::{Value, put_bytes, put_varint, take_field};
use super::{IdentifyError, Info, MAX_ADDRESSES, MAX_MESSAGE_BYTES, MAX_NAME_BYTES, MAX_PROTOCOLS};

const PUBLIC_KEY: u32 = 1;
const LISTEN_ADDRS: u32 = 2;
const PROTOCOLS: u32 = 3;
const OBSERVED_ADDR: u32 = 4;
const PROTOCOL_VERSION: u32 = 5;
const AGENT_VERSION: u32 = 6;
const SIGNED_PEER_RECORD: u32 = 8;

pub(super) fn encode(info: &Info) -> Vec<u8> {
    let mut body = Vec::with_capacity(512);
    let mut put = |field, bytes: Option<&[u8]>| {
        if let Some(bytes) = bytes {
            put_bytes(&mut body, field, bytes);
        }
    };
    put(PUBLIC_KEY, info.public_key.as_deref());
    info.listen_addrs.iter().for_each(|address| put(LISTEN_ADDRS, Some(address.as_ref())));
    info.protocols.iter().for_each(|name| put(PROTOCOLS, Some(name.as_bytes())));
    put(OBSERVED_ADDR, info.observed_addr.as_ref().map(AsRef::as_ref));
    put(PROTOCOL_VERSION, info.protocol_version.as_ref().map(AsRef::as_ref));
    put(AGENT_VERSION, info.agent_version.as_ref().map(AsRef::as_ref));
    put(SIGNED_PEER_RECORD, info.signed_peer_record.as_deref());
    let mut message = Vec::with_capacity(body.len() + 2);
    put_varint(&mut message, body.len() as u64);
    message.append(&mut body);
    message
}

pub(super) fn decode(mut bytes: &[u8]) -> Result<Info, IdentifyError> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(IdentifyError::TooLong);
    }
    let mut info = Info::default();
    while !bytes.is_empty() {
        let (field, value) = take_field(&mut bytes).map_err(IdentifyError::Malformed)?;
        let field = u32::try_from(field).unwrap_or(u32::MAX);
        match value {
            Value::Bytes(bytes) => keep(&mut info, field, bytes).map_err(IdentifyError::Malformed)?,
            Value::Number if (PUBLIC_KEY..=AGENT_VERSION).contains(&field) || field == SIGNED_PEER_RECORD => {
                return Err(IdentifyError::Malformed("a number stands where bytes are due"));
            }
            Value::Number => {}
        }
    }
    Ok(info)
}

/// Of a field that is there twice the last counts, as protobuf has it.
fn keep(info: &mut Info, field: u32, bytes: &[u8]) -> Result<(), &'static str> {
    match field {
        PUBLIC_KEY => info.public_key = Some(bytes.to_vec()),
        LISTEN_ADDRS if info.listen_addrs.len() < MAX_ADDRESSES => info.listen_addrs.extend(address(bytes)),
        PROTOCOLS => {
            let name = text(bytes)?;
            if info.protocols.len() < MAX_PROTOCOLS && name.len() <= MAX_NAME_BYTES {
                info.protocols.push(name.to_owned());
            }
        }
        // py-libp2p sends no bytes where it knows no address.
        OBSERVED_ADDR if !bytes.is_empty() => {
            info.observed_addr = address(bytes).or(info.observed_addr.take())
        }
        PROTOCOL_VERSION => info.protocol_version = Some(cut(text(bytes)?).to_owned()),
        AGENT_VERSION => info.agent_version = Some(cut(text(bytes)?).to_owned()),
        SIGNED_PEER_RECORD => info.signed_peer_record = Some(bytes.to_vec()),
        _ => {}
    }
    Ok(())
}

/// An address of a kind that is not known is no error: peers speak more transports than this node.
fn address(bytes: &[u8]) -> Option<Multiaddr> {
    Multiaddr::try_from(bytes.to_vec()).ok().filter(|address| !address.is_empty())
}

fn text(bytes: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8")
}

/// At most [`MAX_NAME_BYTES`] of it, whole characters.
fn cut(text: &str) -> &str {
    let end = (0..=MAX_NAME_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}
