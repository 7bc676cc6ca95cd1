//! Where arrays lie in memory, and how long.

use napi::Result;
use napi::bindgen_prelude::{ArrayBuffer, Uint8Array};
use napi_derive::napi;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's memory, counted: what the kernels hold beside the arrays of JavaScript.
struct Counted;

#[global_allocator]
static COUNTED: Counted = Counted;
static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST_HELD: AtomicUsize = AtomicUsize::new(0);

fn count(memory: *mut u8, bytes: usize) -> *mut u8 {
    if !memory.is_null() {
        MOST_HELD.fetch_max(HELD.fetch_add(bytes, Relaxed) + bytes, Relaxed);
    }
    memory
}

// SAFETY: every call goes to the system's allocator as it came, and what that answers goes back as it is.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`.
        count(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        count(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, and all memory is the system's.
        unsafe { System.dealloc(memory, layout) };
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `realloc`, and all memory is the system's.
        let moved = count(unsafe { System.realloc(memory, layout, bytes) }, bytes);
        if !moved.is_null() {
            HELD.fetch_sub(layout.size(), Relaxed);
        }
        moved
    }
}

/// Most bytes that the kernels held at once so far, results that JavaScript still has among them.
#[napi]
pub fn most_held_bytes() -> f64 {
    MOST_HELD.load(Relaxed) as f64
}

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

/// Give the memory of arrays back, without waiting for the garbage to be collected. They have no elements afterwards.
/// No pending call may read them.
#[napi]
pub fn release(arrays: Vec<ArrayBuffer>) -> Result<()> {
    arrays.into_iter().try_for_each(ArrayBuffer::detach)
}
