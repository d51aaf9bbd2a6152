//! Which cores the servers, the generator and the remote node run on.

use serde::Serialize;

use super::plan::Layout;

/// How much lower the priority is of the generator where it shares the server's cores, and of the remote node where it has
/// no core of its own: a generator that waits for it would be late.
pub(crate) const SHARED_NICE: i32 = 10;

/// The cores of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Cpus {
    /// The server's, when the generator has its own.
    pub(crate) server_apart: Vec<usize>,
    /// The server's, when the generator shares them.
    pub(crate) server_shared: Vec<usize>,
    /// The generator's, when it has its own.
    pub(crate) generator: usize,
    /// The other node's of remote operations; the generator's where there is no third.
    pub(crate) remote: usize,
}

impl Cpus {
    /// Chooses among the cores that this process may use; `server` and `generator` are wishes.
    pub(crate) fn new(
        allowed: &[usize],
        server: Option<usize>,
        generator: Option<usize>,
    ) -> Result<Self, String> {
        for wish in [server, generator].into_iter().flatten() {
            if !allowed.contains(&wish) {
                return Err(format!("core {wish} is not among those of this process: {allowed:?}"));
            }
        }
        if server.is_some() && server == generator {
            return Err("the server and the generator must have different cores".to_owned());
        }
        let first_but =
            |taken: &[Option<usize>]| allowed.iter().copied().find(|cpu| !taken.contains(&Some(*cpu)));
        let server = server.or_else(|| first_but(&[generator])).ok_or("this process may use no core")?;
        let generator = generator.or_else(|| first_but(&[Some(server)])).unwrap_or(server);
        let remote = first_but(&[Some(server), Some(generator)]).unwrap_or(generator);
        let mut server_shared = vec![server, generator];
        server_shared.sort_unstable();
        server_shared.dedup();
        Ok(Self { server_apart: vec![server], server_shared, generator, remote })
    }

    /// The cores of the server under test.
    pub(crate) fn server(&self, layout: Layout) -> &[usize] {
        match layout {
            Layout::Apart => &self.server_apart,
            Layout::Shared => &self.server_shared,
        }
    }

    /// Whether the remote node has to do with what others leave it of a core.
    pub(crate) fn remote_yields(&self) -> bool {
        self.remote == self.generator
    }

    /// Who has which cores, in words.
    pub(crate) fn words(&self, layout: Layout) -> String {
        let remote = match self.remote_yields() {
            true => format!("the other node with nice {SHARED_NICE} on core {} too", self.remote),
            false => format!("the other node on core {}", self.remote),
        };
        match layout {
            Layout::Apart => {
                format!(
                    "server on core {}, generator on core {}, {remote}",
                    self.server_apart[0], self.generator
                )
            }
            Layout::Shared => format!(
                "SHARED: server on cores {}, generator on any of them with nice {SHARED_NICE}, {remote}",
                super::subject::list(&self.server_shared)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use super::*;

    #[test]
    fn server_and_generator_have_a_core_each() {
        let two = Cpus::new(&[0, 1], None, None).unwrap();
        assert_eq!((two.server(Layout::Apart), two.generator, two.remote), (&[0][..], 1, 1));
        assert_eq!(two.server(Layout::Shared), [0, 1]);
        let many = Cpus::new(&[4, 5, 6, 7], Some(6), None).unwrap();
        assert_eq!((many.server(Layout::Apart), many.generator, many.remote), (&[6][..], 4, 5));
        let one = Cpus::new(&[3], None, None).unwrap();
        assert_eq!((one.server(Layout::Shared), one.generator, one.remote), (&[3][..], 3, 3));
        assert!(two.words(Layout::Shared).starts_with("SHARED"));
    }

    #[test]
    fn wishes_that_cannot_be_are_refused() {
        assert!(Cpus::new(&[0, 1], Some(2), None).unwrap_err().contains("core 2"));
        assert!(Cpus::new(&[0, 1], Some(1), Some(1)).unwrap_err().contains("different"));
        assert!(Cpus::new(&[], None, None).is_err());
    }
}
