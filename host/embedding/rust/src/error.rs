//! What the library refuses.

use std::ffi::CStr;
use std::fmt;

/// An error of the library or of the core: `PM_E_*` of `pathmanager.h`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(i32);

impl Error {
    /// There is no such unit or path.
    pub const HANDLE: Self = Self(-1);
    /// A value or limit is outside its range.
    pub const RANGE: Self = Self(-2);
    /// A table is full.
    pub const LIMIT: Self = Self(-3);
    /// Another path of the unit has this priority.
    pub const PRIORITY_IN_USE: Self = Self(-4);
    /// Cluster mode allows static policies only.
    pub const CLUSTER_MODE: Self = Self(-5);
    /// There is no such property.
    pub const PROPERTY: Self = Self(-6);
    /// The path is not failed.
    pub const NOT_FAILED: Self = Self(-7);
    /// The unit has paths, or requests that are not over.
    pub const BUSY: Self = Self(-8);
    /// An argument makes no sense.
    pub const ARGUMENT: Self = Self(-64);
    /// There is not enough memory.
    pub const MEMORY: Self = Self(-65);
    /// Core and header are of different versions.
    pub const VERSION: Self = Self(-66);
    /// Every tag is in use: fetch answers.
    pub const FULL: Self = Self(-67);
    /// The time went back.
    pub const CLOCK: Self = Self(-72);
    /// An assertion has ended the core: [`crate::Host::failure`].
    pub const CORE: Self = Self(-73);
    /// A port's function has called what only its embedder may.
    pub const IN_TURN: Self = Self(-74);

    /// The number that C has for it; negative.
    #[must_use]
    pub fn code(self) -> i32 {
        self.0
    }
}

/// What C answers: 0 or more is good.
pub(crate) fn checked(answer: i32) -> Result<u32, Error> {
    u32::try_from(answer).map_err(|_| Error(answer))
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: the function answers a constant text for every number.
        let text = unsafe { CStr::from_ptr(crate::sys::pm_error_text(self.0)) };
        to.write_str(&text.to_string_lossy())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "Error({}: {self})", self.0)
    }
}

impl std::error::Error for Error {}
