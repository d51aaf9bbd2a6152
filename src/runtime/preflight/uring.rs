//! A trial of io_uring by its three system calls, before anything that would panic without them.

use std::io;

/// What io_uring can do here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UringTrial {
    /// All three system calls work; holds the numbers of the supported operations.
    Works(Vec<u8>),
    /// A system call failed.
    Refused {
        /// The system call.
        call: &'static str,
        /// The error's number.
        errno: i32,
    },
}

/// `struct io_uring_params` of the kernel's ABI: ten 32-bit words and two tables of offsets that we do not read.
#[repr(C)]
#[derive(Default)]
struct Params {
    words: [u32; 10],
    offsets: [[u64; 5]; 2],
}

/// `struct io_uring_probe` with room for every operation there can be.
#[repr(C)]
struct Probe {
    last_op: u8,
    ops_len: u8,
    reserved: u16,
    reserved_words: [u32; 3],
    ops: [ProbeOp; 256],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct ProbeOp {
    op: u8,
    reserved: u8,
    flags: u16,
    reserved_word: u32,
}

const IORING_REGISTER_PROBE: libc::c_ulong = 8;
const IO_URING_OP_SUPPORTED: u16 = 1;

/// Makes a small ring, asks it what it supports, enters it once and closes it.
pub(super) fn try_io_uring() -> UringTrial {
    match attempt() {
        Ok(supported) => UringTrial::Works(supported),
        Err((call, error)) => UringTrial::Refused { call, errno: error.raw_os_error().unwrap_or(0) },
    }
}

fn attempt() -> Result<Vec<u8>, (&'static str, io::Error)> {
    let mut params = Params::default();
    // SAFETY: `params` has the size and layout that the kernel reads and fills, and lives through the call.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 2_u32, &raw mut params) };
    let ring = RingFd(check("io_uring_setup", ring)?);

    let empty = ProbeOp { op: 0, reserved: 0, flags: 0, reserved_word: 0 };
    let mut probe = Probe { last_op: 0, ops_len: 0, reserved: 0, reserved_words: [0; 3], ops: [empty; 256] };
    // SAFETY: `probe` has room for the 256 operations that the last argument announces, and lives through the call.
    let registered = unsafe {
        libc::syscall(libc::SYS_io_uring_register, ring.0, IORING_REGISTER_PROBE, &raw mut probe, 256_u32)
    };
    check("io_uring_register", registered)?;

    // SAFETY: nothing is submitted and nothing awaited, so the kernel touches no memory of ours.
    let entered = unsafe {
        libc::syscall(libc::SYS_io_uring_enter, ring.0, 0_u32, 0_u32, 0_u32, std::ptr::null::<u8>(), 0_usize)
    };
    check("io_uring_enter", entered)?;

    let listed = &probe.ops[..usize::from(probe.ops_len)];
    Ok(listed.iter().filter(|op| op.flags & IO_URING_OP_SUPPORTED != 0).map(|op| op.op).collect())
}

fn check(call: &'static str, result: libc::c_long) -> Result<libc::c_int, (&'static str, io::Error)> {
    if result < 0 { Err((call, io::Error::last_os_error())) } else { Ok(result as libc::c_int) }
}

/// Closes the ring.
struct RingFd(libc::c_int);

impl Drop for RingFd {
    fn drop(&mut self) {
        // SAFETY: the descriptor was returned by io_uring_setup and is closed only here.
        unsafe { libc::close(self.0) };
    }
}
