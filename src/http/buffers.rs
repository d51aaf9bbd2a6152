//! Spare buffers of one thread, so that a busy connection costs no allocation and an idle one no memory.
//!
//! A reader gives its buffer back whenever it is empty. With run-to-completion few readers of a core hold bytes at the
//! same time, so a handful of spares serves them all.

use std::cell::RefCell;

/// Spares kept by one thread.
const MAX_SPARES: usize = 16;
/// A buffer that has grown past this is freed, not kept.
const MAX_SPARE_BYTES: usize = 16 << 10;
/// Capacity of a fresh buffer: a usual request fits without growing.
const FRESH_BYTES: usize = 2 << 10;

thread_local! {
    static SPARES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with some capacity.
pub(super) fn take() -> Vec<u8> {
    let spare = SPARES.try_with(|spares| spares.borrow_mut().pop());
    spare.ok().flatten().unwrap_or_else(|| Vec::with_capacity(FRESH_BYTES))
}

/// Takes a buffer back, or frees it.
pub(super) fn give(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > MAX_SPARE_BYTES {
        return;
    }
    buffer.clear();
    // A thread that is ending has no spares any more; then the buffer is simply freed.
    let _ending = SPARES.try_with(|spares| {
        let mut spares = spares.borrow_mut();
        if spares.len() < MAX_SPARES {
            spares.push(buffer);
        }
    });
}
