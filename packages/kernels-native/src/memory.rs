//! Where arrays lie in memory.

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

/// A cache line, and the widest vector: one that lies on two lines is loaded twice.
const LINE: usize = 64;

/// The first byte of an array that starts a cache line. From there on the system is asked for large pages, which it gives
/// to bytes that were not touched yet: rows read at random miss the table of small ones.
#[napi]
pub fn place(bytes: Uint8Array) -> u32 {
    let first = bytes.as_ptr().align_offset(LINE).min(bytes.len());
    advise_large_pages(&bytes[first..]);
    first as u32
}

#[cfg(target_os = "linux")]
fn advise_large_pages(bytes: &[u8]) {
    use std::ffi::{c_int, c_void};
    unsafe extern "C" {
        fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    }
    const MADV_HUGEPAGE: c_int = 14;
    const LARGE_PAGE: usize = 2 << 20;
    let start = bytes.as_ptr().align_offset(LARGE_PAGE);
    if bytes.len() < start + LARGE_PAGE {
        return;
    }
    let whole = &bytes[start..start + (bytes.len() - start) / LARGE_PAGE * LARGE_PAGE];
    // SAFETY: the range is within the array, and the advice changes nothing that a program can see but its speed. A
    // system that does not take it is as good.
    unsafe { madvise(whole.as_ptr().cast_mut().cast(), whole.len(), MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise_large_pages(_bytes: &[u8]) {}
