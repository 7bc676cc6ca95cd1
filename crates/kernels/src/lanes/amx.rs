use super::tiles::{ByteTile, Products, TILE_INPUTS, TILE_LATENTS, Tiles, bytes_of_row};
use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::marker::PhantomData;
use std::sync::OnceLock;

/// AMX with products of bytes: 8 registers of 16 rows × 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amx(());

/// Of CPUID's leaf 7, EDX.
const AMX_TILE: u32 = 1 << 24;
const AMX_INT8: u32 = 1 << 25;
/// Of leaf 1, ECX: the system saves what XCR0 names.
const OSXSAVE: u32 = 1 << 27;
/// Of XCR0: the configuration of tiles and their data.
const TILE_STATE: u64 = 0b11 << 17;
const TILE_DATA: u64 = 18;

impl Amx {
    pub fn detect() -> Option<Self> {
        static FOUND: OnceLock<bool> = OnceLock::new();
        FOUND.get_or_init(|| has_tiles() && is_permitted()).then_some(Self(()))
    }

    /// Tiles of this thread, until they are dropped.
    pub fn tiles(self) -> AmxTiles {
        let configuration = Configuration::new();
        // SAFETY: the CPU has AMX and the system permits it, or `self` would not exist; the configuration is one of
        // palette 1, whose tiles are as large as `detect` saw.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &configuration, options(nostack, readonly)) };
        AmxTiles(PhantomData)
    }
}

fn has_tiles() -> bool {
    const LEAF: u32 = 7;
    const TILE_LEAF: u32 = 0x1d;
    if __cpuid(0).eax < TILE_LEAF {
        return false;
    }
    let found = __cpuid_count(LEAF, 0).edx;
    if found & AMX_TILE == 0 || found & AMX_INT8 == 0 || __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    // Palette 1: bytes of a row and number of tiles, then rows of a tile.
    let palette = __cpuid_count(TILE_LEAF, 1);
    let is_as_large = palette.ebx & 0xffff >= 64 && palette.ebx >> 16 >= 8 && palette.ecx & 0xffff >= 16;
    // SAFETY: OSXSAVE says that XGETBV exists.
    is_as_large && unsafe { xcr0() } & TILE_STATE == TILE_STATE
}

/// # Safety
/// The CPU must have XSAVE, and the system must use it.
#[target_feature(enable = "xsave")]
unsafe fn xcr0() -> u64 {
    // SAFETY: the caller vouches for it.
    unsafe { _xgetbv(0) }
}

/// Linux gives tiles to processes that ask for them, to all their threads at once.
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_PERMISSION: u64 = 0x1023;
    let result: i64;
    // SAFETY: the call takes two numbers and writes to no memory of the process.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") REQUEST_PERMISSION,
            in("rsi") TILE_DATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}

/// All 8 tiles whole, as LDTILECFG reads it.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_of_row: [u16; 16],
    rows: [u8; 16],
}

impl Configuration {
    fn new() -> Self {
        let mut this =
            Self { palette: 1, start_row: 0, reserved: [0; 14], bytes_of_row: [0; 16], rows: [0; 16] };
        this.bytes_of_row[..8].fill(64);
        this.rows[..8].fill(16);
        this
    }
}

/// The tiles of the thread that made it. Released when it is dropped, so that no other code pays for saving them.
pub struct AmxTiles(PhantomData<*const ()>);

impl Drop for AmxTiles {
    fn drop(&mut self) {
        // SAFETY: it exists only where AMX does.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

impl Tiles for AmxTiles {
    /// Sums are in tiles 0 to 3, first products and crossed ones of 16 latents each. 4 holds weights, 5 holds X, each loaded
    /// as often as it is needed: two hyperthreads share the registers that tiles are renamed to, and beside a busy
    /// neighbour more than 6 live tiles leave too few to have several products in flight (8 of them: a third of the speed).
    /// Those that are not used must be zeroed for that, since a switch of contexts fills them.
    /// X is read once for these weights, which fill two thirds of L1 and are read for every panel: as a stream it does not drive
    /// them out.
    #[inline(always)]
    fn multiply(&self, weights: &[i8], panel: &[ByteTile], products: &mut Products) {
        let n = bytes_of_row(weights, panel);
        let weights = weights.as_ptr();
        let half = TILE_LATENTS / 2 * n;
        // SAFETY: tiles are configured while `self` exists, 16 rows of 64 bytes each. `bytes_of_row` checked that weights
        // has 32 rows of n bytes, n / 2 of each kind, and the panel n / 128 pairs of tiles; so many steps of 64 bytes of
        // a row, and of 2 tiles, end where these do. Four tiles are what each half of `products` is.
        unsafe {
            asm!(
                "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                "tilezero tmm4", "tilezero tmm5", "tilezero tmm6", "tilezero tmm7",
                "2:",
                "tileloaddt1 tmm5, [{x} + {line}]",
                "tileloadd tmm4, [{q0} + {row}]",
                "tdpbssd tmm0, tmm4, tmm5",
                "tileloadd tmm4, [{q1} + {row}]",
                "tdpbssd tmm1, tmm4, tmm5",
                "tileloadd tmm4, [{r0} + {row}]",
                "tdpbssd tmm2, tmm4, tmm5",
                "tileloadd tmm4, [{r1} + {row}]",
                "tdpbssd tmm3, tmm4, tmm5",
                "tileloaddt1 tmm5, [{x} + {line} + 1024]",
                "tileloadd tmm4, [{q0} + {row}]",
                "tdpbssd tmm2, tmm4, tmm5",
                "tileloadd tmm4, [{q1} + {row}]",
                "tdpbssd tmm3, tmm4, tmm5",
                "add {q0}, 64", "add {q1}, 64", "add {r0}, 64", "add {r1}, 64",
                "add {x}, 2048",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{out} + {line}], tmm0",
                "tilestored [{out} + {line} + 1024], tmm1",
                "tilestored [{out} + {line} + 2048], tmm2",
                "tilestored [{out} + {line} + 3072], tmm3",
                q0 = inout(reg) weights => _,
                q1 = inout(reg) weights.add(half) => _,
                r0 = inout(reg) weights.add(n / 2) => _,
                r1 = inout(reg) weights.add(half + n / 2) => _,
                x = inout(reg) panel.as_ptr() => _,
                steps = inout(reg) n / (2 * TILE_INPUTS) => _,
                row = in(reg) n,
                line = in(reg) 64_usize,
                out = in(reg) products,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}
