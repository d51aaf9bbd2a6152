//! Which processors a thread may run on.

use std::io;
use std::mem;

/// A set of processors.
#[derive(Clone, Copy)]
pub(super) struct CpuMask(libc::cpu_set_t);

impl CpuMask {
    /// The set that holds `cpu` alone.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when the kernel's sets do not reach that far.
    pub(super) fn single(cpu: usize) -> io::Result<Self> {
        if cpu >= libc::CPU_SETSIZE as usize {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: a set is a plain array of bits, for which zeros are valid, and `cpu` lies within it.
        unsafe {
            let mut set: libc::cpu_set_t = mem::zeroed();
            libc::CPU_SET(cpu, &mut set);
            Ok(Self(set))
        }
    }

    /// The set of the calling thread.
    ///
    /// # Errors
    /// What the kernel says, of a machine with more processors than its library's sets hold.
    pub(super) fn of_this_thread() -> io::Result<Self> {
        Self::of_thread(0)
    }

    /// The set of the process's main thread.
    ///
    /// # Errors
    /// As [`CpuMask::of_this_thread`].
    pub(super) fn of_main_thread() -> io::Result<Self> {
        // The main thread's id is the process's.
        Self::of_thread(std::process::id() as libc::pid_t)
    }

    /// The set of a thread of this process; 0 is the calling one.
    fn of_thread(thread: libc::pid_t) -> io::Result<Self> {
        // SAFETY: the kernel writes at most the size it is told into a set of that size.
        unsafe {
            let mut set: libc::cpu_set_t = mem::zeroed();
            match libc::sched_getaffinity(thread, size_of::<libc::cpu_set_t>(), &mut set) {
                0 => Ok(Self(set)),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }

    /// Lets the calling thread run on this set only.
    ///
    /// # Errors
    /// What the kernel says: none of the set's processors is allowed to this process.
    pub(super) fn apply(&self) -> io::Result<()> {
        // SAFETY: the kernel reads a set of the size it is told.
        match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &self.0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
