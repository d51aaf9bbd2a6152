//! Buffers that belong to a core: lent for one read or one answer, and then given back.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;

/// Bytes of one read buffer, and so the most that one read returns.
pub const BUF_BYTES: usize = 16 << 10;

/// Read buffers that a core keeps for the next read; more are freed.
const KEPT_BUFS: usize = 32;
/// Output vectors that a core keeps for the next answer; more are freed.
const KEPT_VECS: usize = 64;
/// An output vector that has grown past this is freed rather than kept.
const KEPT_VEC_BYTES: usize = 64 << 10;

struct Pool {
    bufs: Vec<Box<[u8]>>,
    vecs: Vec<Vec<u8>>,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bufs: Vec::new(), vecs: Vec::new() }) };
}

/// Bytes that were read, in a buffer of this core's pool. Dropping it gives the buffer back.
///
/// Hold it briefly: a handler that keeps one over a long wait keeps 16 KiB from everybody else.
pub struct Buf {
    /// `None` is the empty buffer, which is what the end of a stream reads as.
    storage: Option<Box<[u8]>>,
    len: usize,
    /// A buffer goes back to the pool of the core it came from.
    _core: PhantomData<Rc<()>>,
}

impl Buf {
    /// The buffer that means end of stream.
    pub(super) const fn empty() -> Self {
        Self { storage: None, len: 0, _core: PhantomData }
    }

    /// Takes a buffer out of the pool. Its bytes are whatever the last read left, and none of them show.
    pub(super) fn lend() -> Self {
        let pooled = POOL.with_borrow_mut(|pool| pool.bufs.pop());
        let storage = pooled.unwrap_or_else(|| vec![0; BUF_BYTES].into_boxed_slice());
        Self { storage: Some(storage), len: 0, _core: PhantomData }
    }

    /// The whole buffer, to be read into.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.storage.as_deref_mut().unwrap_or_default()
    }

    /// Shows the first `len` bytes.
    pub(super) fn show(&mut self, len: usize) {
        debug_assert!(len <= BUF_BYTES, "a read returned more than it was given room for");
        self.len = len;
    }
}

impl Deref for Buf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.storage.as_deref().map_or(&[], |bytes| &bytes[..self.len])
    }
}

impl AsRef<[u8]> for Buf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buf({} bytes)", self.len)
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        let Some(storage) = self.storage.take() else { return };
        // The thread's pool may already be gone when the thread itself ends; then the buffer is simply freed.
        let _ = POOL.try_with(|pool| {
            let bufs = &mut pool.borrow_mut().bufs;
            if bufs.len() < KEPT_BUFS {
                bufs.push(storage);
            }
        });
    }
}

/// An empty vector with room left over from an earlier answer, where the core has one.
pub(super) fn lend_vec() -> Vec<u8> {
    POOL.with_borrow_mut(|pool| pool.vecs.pop()).unwrap_or_default()
}

/// Gives a vector back to the core, emptied.
pub(super) fn give_back_vec(mut vec: Vec<u8>) {
    if vec.capacity() == 0 || vec.capacity() > KEPT_VEC_BYTES {
        return;
    }
    vec.clear();
    let _ = POOL.try_with(|pool| {
        let vecs = &mut pool.borrow_mut().vecs;
        if vecs.len() < KEPT_VECS {
            vecs.push(vec);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_the_next_one_lent_and_shows_nothing_of_the_past() {
        let mut first = Buf::lend();
        first.space()[..5].copy_from_slice(b"hello");
        first.show(5);
        assert_eq!(&*first, b"hello");
        let address = first.as_ptr();
        drop(first);
        let second = Buf::lend();
        assert!(second.is_empty());
        assert_eq!(second.storage.as_deref().map(<[u8]>::as_ptr), Some(address));
    }

    #[test]
    fn the_pool_keeps_a_bounded_number_of_buffers_and_vectors() {
        let many: Vec<_> = (0..KEPT_BUFS * 2).map(|_| Buf::lend()).collect();
        drop(many);
        for _ in 0..KEPT_VECS * 2 {
            give_back_vec(Vec::with_capacity(8));
        }
        give_back_vec(Vec::with_capacity(KEPT_VEC_BYTES + 1));
        POOL.with_borrow(|pool| {
            assert_eq!(pool.bufs.len(), KEPT_BUFS);
            assert_eq!(pool.vecs.len(), KEPT_VECS);
            assert!(pool.vecs.iter().all(|vec| vec.capacity() <= KEPT_VEC_BYTES));
        });
    }
}
