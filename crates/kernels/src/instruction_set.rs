use crate::error::KernelError;
use crate::lanes::dots::{DotKernel, Dots};
#[cfg(target_arch = "aarch64")]
use crate::lanes::neon::Neon;
use crate::lanes::portable::Portable;
use crate::lanes::tiles::{PlainTiles, TileKernel, Tiles};
use crate::lanes::{Kernel, Lanes};
#[cfg(target_arch = "x86_64")]
use crate::lanes::{amx::Amx, avx2::Avx2, avx512::Avx512};

/// An instruction set that this CPU was seen to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// AVX-512, and AMX for products of bytes.
    #[cfg(target_arch = "x86_64")]
    Avx512Amx(Avx512, Amx),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    Portable(Portable),
}

impl InstructionSet {
    /// Those of this CPU, fastest first.
    pub fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let with_amx = |lanes| Amx::detect().map(|amx| Self::Avx512Amx(lanes, amx));
            sets.extend(Avx512::detect().and_then(with_amx));
            sets.extend(Avx512::detect().map(Self::Avx512));
            sets.extend(Avx2::detect().map(Self::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        sets.extend(Neon::detect().map(Self::Neon));
        sets.push(Self::Portable(Portable));
        sets
    }

    /// The one of that name, or the fastest.
    pub fn choose(name: Option<&str>) -> Result<Self, KernelError> {
        let available = Self::available();
        let Some(name) = name else { return Ok(available[0]) };
        available.iter().copied().find(|set| set.name() == name).ok_or_else(|| {
            let names: Vec<_> = available.iter().map(|set| set.name()).collect();
            KernelError::backend(format!(
                "The instruction set {name} is not available here; there are: {}.",
                names.join(", ")
            ))
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Amx(..) => "avx512+amx",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
            Self::Portable(_) => "portable",
        }
    }

    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Amx(lanes, _) | Self::Avx512(lanes) => lanes.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(lanes) => lanes.run(kernel),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(lanes) => lanes.run(kernel),
            Self::Portable(lanes) => lanes.run(kernel),
        }
    }

    /// Run a kernel on bytes. AVX-512 without its VNNI runs it on AVX2, whose f32 results are the same bits.
    pub(crate) fn run_dots<K: DotKernel>(self, kernel: K) -> K::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Amx(lanes, _) | Self::Avx512(lanes) => match lanes.run_dots(kernel) {
                Ok(output) => output,
                Err(kernel) => match Avx2::detect() {
                    Some(lanes) => lanes.run_dots(kernel),
                    None => unreachable!("every CPU with AVX-512 has AVX2"),
                },
            },
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(lanes) => lanes.run_dots(kernel),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(lanes) => lanes.run_dots(kernel),
            Self::Portable(lanes) => lanes.run_dots(kernel),
        }
    }

    /// Run a kernel on tiles, those of the machine or plain ones.
    pub(crate) fn run_tiles<K: TileKernel>(self, kernel: K) -> K::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Amx(lanes, amx) => lanes.run(WithTiles(kernel, &amx.tiles())),
            _ => Portable.run(WithTiles(kernel, &PlainTiles)),
        }
    }

    /// Whether bytes are multiplied by tiles. Those of the portable set are there to be tested.
    pub(crate) fn has_tiles(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Amx(..) => true,
            Self::Portable(_) => true,
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            _ => false,
        }
    }

    /// Bytes that `screen` makes of a weight.
    pub fn screened_bytes(self) -> usize {
        if self.has_tiles() { 2 } else { 1 }
    }

    /// Latents from which on screening is faster here than f32, where few of them are active.
    pub fn screening_pays_from(self) -> Option<u32> {
        self.run_dots(PaysFrom { width: self.run(Width) })
    }
}

/// AVX-512 without its VNNI multiplies bytes by AVX2, half as many at a time, which does not pay.
struct PaysFrom {
    width: usize,
}

impl DotKernel for PaysFrom {
    type Output = Option<u32>;
    #[inline(always)]
    fn run<D: Dots>(self, _dots: D) -> Option<u32> {
        D::PAYS_FROM.filter(|_| D::Lanes::WIDTH == self.width)
    }
}

struct Width;

impl Kernel for Width {
    type Output = usize;
    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) -> usize {
        L::WIDTH
    }
}

struct WithTiles<'a, K, T>(K, &'a T);

impl<K: TileKernel, T: Tiles> Kernel for WithTiles<'_, K, T> {
    type Output = K::Output;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> K::Output {
        self.0.run(lanes, self.1)
    }
}
