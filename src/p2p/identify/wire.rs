//! As much of the protobuf encoding as the message needs.

/// A value of a field, as far as its wire type tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Bytes(&'a [u8]),
    /// A number of any width; no field of the message has one.
    Number,
}

/// Writes a field of bytes or text.
pub(super) fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    const LENGTH_DELIMITED: u64 = 2;
    put_varint(out, u64::from(field) << 3 | LENGTH_DELIMITED);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a number, seven bits a byte, the lowest first.
pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front.
pub(super) fn take_varint(bytes: &mut &[u8]) -> Result<u64, &'static str> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or("it ends inside a number")?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err("a number has more than 64 bits");
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err("a number has more than 64 bits")
}

/// Takes a field off the front: its number and value.
pub(super) fn take_field<'a>(bytes: &mut &'a [u8]) -> Result<(u64, Value<'a>), &'static str> {
    let key = take_varint(bytes)?;
    let field = key >> 3;
    if field == 0 || field >= 1 << 29 {
        return Err("a field has a number that is not allowed");
    }
    let value = match key & 7 {
        0 => take_varint(bytes).map(|_| Value::Number)?,
        1 => take(bytes, 8).map(|_| Value::Number)?,
        2 => {
            let len = take_varint(bytes)?;
            Value::Bytes(take(bytes, len)?)
        }
        5 => take(bytes, 4).map(|_| Value::Number)?,
        _ => return Err("a field is of a type that is not used"),
    };
    Ok((field, value))
}

fn take<'a>(bytes: &mut &'a [u8], len: u64) -> Result<&'a [u8], &'static str> {
    let len = usize::try_from(len).ok().filter(|len| *len <= bytes.len()).ok_or("it ends inside a field")?;
    let (taken, rest) = bytes.split_at(len);
    *bytes = rest;
    Ok(taken)
}
