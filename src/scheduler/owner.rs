//! Which peer owns a task: the one whose digest is nearest to that of the task, with a total order among draws.

use sha2::{Digest, Sha256};

use super::sha256_hex;

/// The digest that stands for a task of the queue when peers decide who owns it.
pub fn task_hash(task_id: &str, task_type: &str, model_name: &str) -> String {
    sha256_hex(&format!("{task_id}:{task_type}:{model_name}"))
}

/// The peer that owns a task: of the smallest Hamming distance between the digest of `clock_hash:task_hash` and that of
/// its id; a draw goes to the smaller id by code points. `None` where there is no peer.
pub fn owner<'a>(
    clock_hash: &str,
    task_hash: &str,
    peers: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted = Sha256::digest(format!("{clock_hash}:{task_hash}").as_bytes());
    // UTF-8 sorts as its code points do.
    peers.into_iter().min_by_key(|peer| (distance(&wanted, &Sha256::digest(peer.as_bytes())), *peer))
}

/// The peers that tasks are shared out to at one moment, with their digests: for many tasks.
#[derive(Debug)]
pub struct Owners {
    clock_hash: Box<str>,
    peers: Vec<(Box<str>, [u8; 32])>,
}

impl Owners {
    /// Tasks are shared out among `peers`.
    pub fn new(clock_hash: &str, peers: impl IntoIterator<Item = Box<str>>) -> Owners {
        let digest = |peer: Box<str>| {
            let digest = Sha256::digest(peer.as_bytes()).into();
            (peer, digest)
        };
        Owners { clock_hash: clock_hash.into(), peers: peers.into_iter().map(digest).collect() }
    }

    /// How many peers there are.
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// The owner of a task, as [`owner`] finds it.
    pub fn owner(&self, task_hash: &str) -> Option<&str> {
        let mut digest = Sha256::new();
        digest.update(self.clock_hash.as_bytes());
        digest.update(b":");
        digest.update(task_hash.as_bytes());
        let wanted = digest.finalize();
        let nearest = self.peers.iter().min_by_key(|(peer, digest)| (distance(&wanted, digest), peer));
        nearest.map(|(peer, _)| &**peer)
    }
}

pub(super) fn distance(a: &[u8], b: &[u8]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

#[cfg(test)]
mod tests {
    /// Computed by the scheduler that peers run; draws are broken by total order.
    #[rustfmt::skip]
    const OWNERS: &[(&str, &str, &[&str], &str)] = &[
        ("d8d7e2a704ab21fc1f8ae8129822f003f0a5e79dce225616144a3a1dfd89027c", "ecaa5f21812dbc4ae6c268ca882854bd59eaba0a635dda56a9fcb6b4da77bb19",
         &["a", "Z", "12D3KooWB2", "tab\tname", "node \"quoted\"", "12D3KooWA1", "peer-a"],
         "Z"),
        ("c2762febbee30af0ef4d31cc79ce98471d91376d785225f7429b8002f5690631", "e7d9e2eefd80e95e5dc8834c201a6f17133eb10f0709332ad21681f73a4c3134",
         &["back\\slash", "peer-b", "12D3KooWA1", "机器-1", "emoji-😀", "node \"quoted\"", "Z"],
         "back\\slash"),
        ("7da3d1677a1952dac72553fa3b7414ffbbe6e9719101e046a252ac224edc0c19", "9060b6de2e78615c0ec8d260dcda60eae8082770e268525619b8616a76bbf9e2",
         &["back\\slash", "Z", "taskqueue-service", "peer-b"],
         "taskqueue-service"),
        ("7beb65bb72fc7868bed974fa5541f5119aaac506a246f38919c1448dbf96c4af", "99879d2cfebacde18f0b785e0e5f1f43805f75dea73759a1c365fcd62aed6524",
         &["wörker-ü", "taskqueue-service", "Z", "12D3KooWA1", "机器-1", "tab\tname"],
         "12D3KooWA1"),
        ("c6ae66b4fe8f50cfdaf8efc8f1744ec89c7e8045ab99d0d4b1f8c6d6418d1356", "c3ee342c84928ab9cc2727cff7f842201dea48ca93840c87bf16c9753d59fc57",
         &["node \"quoted\"", "Z", "tab\tname"],
         "node \"quoted\""),
        ("d172b4bb1daf9944bf7536648c2c203adc88f0e6b424267b6f012ceea4ce3fbe", "451efd05d1d5cc37952b3a2dbfe6c7ae5f1e774949b22b3507c37d1a47be3129",
         &["back\\slash", "taskqueue-service", "peer-b", "tab\tname", "a", "emoji-😀"],
         "taskqueue-service"),
    ];

    #[rustfmt::skip]
    const HASHES: &[((&str, &str, &str), &str)] = &[
        (("t1", "inference", "gpt2"), "f46fc956ef853bfbe18d0b5082452bd3e0338630582ebd650db74aa213a03e24"),
        (("", "", ""), "71546855d6279ef70d20909b292c42c2dcb02cd06bde01485da52d13e304ebf4"),
        (("a:b", "c", "d"), "d252cd6d29660d0e6572cd01ede1e9e5b08a3ab5c51f8efdc52c60a608823311"),
        (("ü", "text-generation", "机器"), "5a1af03faeac87f341841b0aba463c0a0d7a98866554ab73868eb3de41dffa32"),
    ];

    #[test]
    fn the_golden_values_hold() {
        for (clock, task, peers, expected) in OWNERS {
            assert_eq!(super::owner(clock, task, peers.iter().copied()), Some(*expected));
            assert_eq!(
                super::owner(clock, task, peers.iter().rev().copied()),
                Some(*expected),
                "in any order"
            );
        }
        for (clock, task, peers, expected) in OWNERS {
            let owners = super::Owners::new(clock, peers.iter().map(|peer| (*peer).into()));
            assert_eq!(owners.owner(task), Some(*expected));
        }
        for ((id, kind, model), expected) in HASHES {
            assert_eq!(super::task_hash(id, kind, model), *expected);
        }
        assert_eq!(super::owner("c", "t", []), None);
    }
}
