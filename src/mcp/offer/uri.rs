//! The syntax of URIs (RFC 3986), as far as a resource's name needs it.

/// Checks that a text is a URI: a scheme, then only characters that a URI may have; the error is a sentence without
/// its subject.
pub(crate) fn check(uri: &str) -> Result<(), String> {
    check_scheme(uri)?;
    check_characters(uri)
}

/// Checks that the text begins with a scheme and a colon.
pub(crate) fn check_scheme(text: &str) -> Result<(), String> {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    let valid = scheme.is_some_and(|scheme| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    match valid {
        true => Ok(()),
        false => Err("must begin with a scheme, such as test://".to_owned()),
    }
}

/// Checks that every character may stand in a URI, and that each `%` begins an escape.
pub(crate) fn check_characters(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'%' => {
                let digits = bytes.get(at + 1..at + 3);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err("has a % that two hexadecimal digits do not follow".to_owned());
                }
            }
            byte if is_uri_byte(*byte) => {}
            _ => {
                let character = text[at..].chars().next().unwrap_or(' ');
                return Err(format!(
                    "has the character {character:?}, which a URI may have only percent-encoded"
                ));
            }
        }
    }
    Ok(())
}

/// The reserved and unreserved characters of RFC 3986.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte)
}

/// The text behind the percent-encoding; `None` where it is malformed or no UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let digit = |byte: Option<u8>| (byte? as char).to_digit(16).map(|digit| digit as u8);
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => digit(bytes.next())? << 4 | digit(bytes.next())?,
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_told_from_other_texts() {
        for good in ["test://static-text", "file:///a%20b", "urn:isbn:0451450523", "a+b-c.d:x?y#z", "x:"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", "scheme"),
            ("static-text", "scheme"),
            ("://x", "scheme"),
            ("1a:b", "scheme"),
            ("a b:c", "scheme"),
            ("test://a b", "' '"),
            ("test://ü", "'ü'"),
            ("test://{id}", "'{'"),
            ("test://%2", "hexadecimal"),
            ("test://%zz", "hexadecimal"),
            ("test://a\"b", "'\"'"),
        ] {
            let error = check(bad).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn escapes_are_decoded_strictly() {
        assert_eq!(decode("a%20b%c3%BC").as_deref(), Some("a bü"));
        assert_eq!(decode("plain+text").as_deref(), Some("plain+text"));
        for bad in ["%", "%2", "%zz", "%ff", "%+1"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
