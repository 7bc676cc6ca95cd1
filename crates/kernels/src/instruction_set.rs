use crate::error::KernelError;
use crate::lanes::Kernel;
use crate::lanes::dots::{DotKernel, Dots};
#[cfg(target_arch = "aarch64")]
use crate::lanes::neon::Neon;
use crate::lanes::portable::Portable;
#[cfg(target_arch = "x86_64")]
use crate::lanes::{avx2::Avx2, avx512::Avx512};

/// An instruction set that this CPU was seen to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
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
            Self::Avx512(lanes) => lanes.run(kernel),
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
            Self::Avx512(lanes) => match lanes.run_dots(kernel) {
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

    /// Whether products of bytes are faster here than those of f32.
    pub fn has_fast_dots(self) -> bool {
        self.run_dots(HasFastDots)
    }
}

struct HasFastDots;

impl DotKernel for HasFastDots {
    type Output = bool;
    #[inline(always)]
    fn run<D: Dots>(self, _dots: D) -> bool {
        D::FAST
    }
}
