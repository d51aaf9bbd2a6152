//! The keys that seal `requestState`.

use std::fmt;
use std::io;

const KEY_BYTES: usize = 32;
const HEADER: &str = "ringmesh request-state keys 1";

/// The key that seals, and the one that sealed before it, whose states are still taken.
///
/// Whoever holds a key can make states that the server believes: keep them as secret as a password. Servers that share
/// their clients' calls, behind a balancer or one after the other, must share their keys.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestStateKeys {
    current: [u8; KEY_BYTES],
    previous: Option<[u8; KEY_BYTES]>,
}

impl RequestStateKeys {
    /// These keys; each must come from a cryptographic random source.
    pub fn new(current: [u8; 32], previous: Option<[u8; 32]>) -> RequestStateKeys {
        RequestStateKeys { current, previous }
    }

    /// A new key, from the operating system's random source.
    ///
    /// # Errors
    /// The random source fails.
    pub fn random() -> io::Result<RequestStateKeys> {
        Ok(RequestStateKeys { current: random_key()?, previous: None })
    }

    /// A new key, with the current one as the one before it.
    ///
    /// # Errors
    /// The random source fails.
    pub fn rotated(&self) -> io::Result<RequestStateKeys> {
        Ok(RequestStateKeys { current: random_key()?, previous: Some(self.current) })
    }

    /// The keys as the text of a key file.
    pub fn to_text(&self) -> String {
        let previous = self.previous.map(|key| format!("previous {}\n", hex(&key))).unwrap_or_default();
        format!("{HEADER}\ncurrent {}\n{previous}", hex(&self.current))
    }

    /// Reads the text of a key file.
    ///
    /// # Errors
    /// A sentence about what is wrong with it, without anything of the keys.
    pub fn parse(text: &str) -> Result<RequestStateKeys, String> {
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return Err(format!("its first line is not {HEADER:?}"));
        }
        let current = lines.next().ok_or("it holds no current key")?;
        let current = key_line(current, "current")?;
        let previous = lines.next().map(|line| key_line(line, "previous")).transpose()?;
        match lines.next() {
            Some(_) => Err("something follows its keys".to_owned()),
            None => Ok(RequestStateKeys { current, previous }),
        }
    }

    pub(crate) fn current(&self) -> &[u8; KEY_BYTES] {
        &self.current
    }

    pub(crate) fn previous(&self) -> Option<&[u8; KEY_BYTES]> {
        self.previous.as_ref()
    }
}

impl fmt::Debug for RequestStateKeys {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestStateKeys").field("previous", &self.previous.is_some()).finish_non_exhaustive()
    }
}

fn random_key() -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(key)
}

fn key_line(line: &str, name: &str) -> Result<[u8; KEY_BYTES], String> {
    let wrong = || format!("its {name} key is not {} hexadecimal digits after {name:?}", 2 * KEY_BYTES);
    let digits = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')).ok_or_else(wrong)?;
    if digits.len() != 2 * KEY_BYTES || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut key = [0; KEY_BYTES];
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).map_err(|_| wrong())?;
    }
    Ok(key)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_file_and_a_rotation_keeps_one() {
        let first = RequestStateKeys::random().unwrap();
        assert_eq!(RequestStateKeys::parse(&first.to_text()), Ok(first.clone()));
        let second = first.rotated().unwrap();
        assert_eq!(second.previous(), Some(first.current()));
        assert_ne!(second.current(), first.current());
        assert_eq!(RequestStateKeys::parse(&second.to_text()), Ok(second));
    }

    #[test]
    fn a_damaged_file_is_described_without_its_keys() {
        let text = RequestStateKeys::new([0xab; 32], Some([0xcd; 32])).to_text();
        let damaged = [
            String::new(),
            text.replace('1', "2"),
            text.replace("ab", "a"),
            text.replace("ab", "zz"),
            text.replace("current", "curent"),
            text.replace("previous", "older"),
            format!("{text}more\n"),
            text[..text.len() / 2].to_owned(),
        ];
        for text in damaged {
            let problem = RequestStateKeys::parse(&text).unwrap_err();
            assert!(!problem.contains("abab") && !problem.contains("cdcd"), "{problem}");
        }
    }

    #[test]
    fn logs_show_no_key() {
        let shown = format!("{:?}", RequestStateKeys::new([0xab; 32], None));
        assert!(!shown.contains("171") && !shown.contains("ab"), "{shown}");
    }
}
