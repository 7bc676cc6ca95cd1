//! Sizes of the processor's caches.

use std::sync::OnceLock;

/// Bytes of a core's L2 cache; 1 MiB where the processor does not say.
pub fn l2_bytes() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    // Asking takes long in a virtual machine.
    *BYTES.get_or_init(|| l2_kibibytes().filter(|&size| size > 0).unwrap_or(1 << 10) << 10)
}

/// By the leaf of CPUID that AMD and Intel share.
#[cfg(target_arch = "x86_64")]
fn l2_kibibytes() -> Option<usize> {
    const SIZES: u32 = 0x8000_0006;
    // Newer toolchains know that it is safe.
    #[allow(unused_unsafe)]
    // SAFETY: every x86-64 processor has CPUID.
    let ask = |leaf| unsafe { std::arch::x86_64::__cpuid(leaf) };
    (ask(0x8000_0000).eax >= SIZES).then(|| (ask(SIZES).ecx >> 16) as usize)
}

#[cfg(not(target_arch = "x86_64"))]
fn l2_kibibytes() -> Option<usize> {
    None
}
