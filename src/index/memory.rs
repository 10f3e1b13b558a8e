//! How soon the allocator gives memory back to the system that nobody uses: the only place that says so.
#![expect(unsafe_code, reason = "the allocator's options are set in C")]

use std::ffi::c_int;
use std::ffi::c_long;
use std::sync::Once;

// Its library has what is declared below.
use mimalloc as _;

/// `mi_option_purge_delay` of `mimalloc.h`, in 2.x as in 3.x: how long memory is held that was freed.
const PURGE_DELAY: c_int = 15;

/// Longer than what is freed and used again in one step; 3.x waits a second, as long as a hunt takes.
const MILLISECONDS: c_long = 50;

unsafe extern "C" {
    fn mi_option_set_default(option: c_int, value: c_long);
}

/// Has memory given back soon from now on, unless the environment (`MIMALLOC_PURGE_DELAY`) says
/// when: for whoever holds much and makes more in passing.
pub fn give_back_soon() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: declared as in mimalloc.h.  No pointer is passed; the function looks whether the
        // option is one, and stores one aligned word, once in the life of the process.  Threads
        // that free memory meanwhile read the old delay or the new one, and either serves.
        unsafe { mi_option_set_default(PURGE_DELAY, MILLISECONDS) }
    });
}
