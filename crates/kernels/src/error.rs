use std::fmt;

/// Why a primitive refused to run. The code is one of the stable codes of the TypeScript side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelError {
    pub code: &'static str,
    pub message: String,
}

impl KernelError {
    pub fn shape(message: impl Into<String>) -> Self {
        Self { code: "ERR_SHAPE", message: message.into() }
    }

    pub fn option(message: impl Into<String>) -> Self {
        Self { code: "ERR_OPTION", message: message.into() }
    }

    pub fn limit(message: impl Into<String>) -> Self {
        Self { code: "ERR_LIMIT", message: message.into() }
    }

    pub fn not_finite(message: impl Into<String>) -> Self {
        Self { code: "ERR_NOT_FINITE", message: message.into() }
    }

    pub fn backend(message: impl Into<String>) -> Self {
        Self { code: "ERR_BACKEND", message: message.into() }
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.message)
    }
}

impl std::error::Error for KernelError {}

/// Refuse a slice that does not have as many elements as its shape says.
pub(crate) fn expect_length(name: &str, length: usize, shape: &[usize]) -> Result<(), KernelError> {
    let expected = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    if expected == Some(length) {
        return Ok(());
    }
    Err(KernelError::shape(format!("{name} has {length} elements, which is not the product of {shape:?}.")))
}
