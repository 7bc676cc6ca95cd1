//! Numbers too close to 0 for the usual form of a float.

use napi_derive::napi;

/// Have the thread that calls compute with 0 in place of numbers below 1.2e-38, and with it the threads that it starts where the
/// system hands the mode on (Linux, macOS). It stays so: for threads that do nothing whose results depend on such numbers.
#[napi]
pub fn flush_subnormals() {
    #[cfg(target_arch = "x86_64")]
    flush();
}

#[cfg(target_arch = "x86_64")]
fn flush() {
    use std::arch::asm;
    /// Subnormal inputs and subnormal results are 0.
    const INPUTS_AND_RESULTS: u32 = 1 << 6 | 1 << 15;
    let mut mode = 0_u32;
    // SAFETY: every processor of the architecture has both bits. No arithmetic of Rust runs in this thread behind it.
    unsafe {
        asm!("stmxcsr [{}]", in(reg) &raw mut mode, options(nostack));
        mode |= INPUTS_AND_RESULTS;
        asm!("ldmxcsr [{}]", in(reg) &raw const mode, options(nostack, readonly));
    }
}
