//! Errors thrown to JavaScript: a stable code, and a sentence that says what is wrong and what to do.

/// The `code` property of a thrown error. These names are part of the interface: never rename one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// An argument is out of range.
    Argument,
    /// The core's rings or control block do not lie within its memory.
    Layout,
    /// The object is closed.
    Closed,
    /// io_uring was requested, but the kernel lacks or forbids it.
    UringUnavailable,
    /// A limit of the addon was reached.
    Limit,
    /// A system call failed; the message names it and the errno.
    System,
    /// The handle is not in use.
    Handle,
    /// The device is not a SCSI generic device, or its driver is too old.
    NotScsiGeneric,
    /// The kernel's nbd driver is missing.
    NbdUnavailable,
    /// The kernel's ublk driver is missing, too old or forbidden.
    UblkUnavailable,
}

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        match self {
            Code::Argument => "ERR_NATIVE_ARGUMENT",
            Code::Layout => "ERR_NATIVE_LAYOUT",
            Code::Closed => "ERR_NATIVE_CLOSED",
            Code::UringUnavailable => "ERR_NATIVE_URING_UNAVAILABLE",
            Code::Limit => "ERR_NATIVE_LIMIT",
            Code::System => "ERR_NATIVE_SYSTEM",
            Code::Handle => "ERR_NATIVE_HANDLE",
            Code::NotScsiGeneric => "ERR_NATIVE_NOT_SCSI_GENERIC",
            Code::NbdUnavailable => "ERR_NATIVE_NBD_UNAVAILABLE",
            Code::UblkUnavailable => "ERR_NATIVE_UBLK_UNAVAILABLE",
        }
    }
}

pub type Error = napi::Error<Code>;
pub type Result<T> = napi::Result<T, Code>;

/// An error with `code` and `message`.
pub fn error(code: Code, message: impl ToString) -> Error {
    Error::new(code, message)
}

/// The errno of this thread's last failed system call.
pub fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// The error of a failed system call: what was attempted and why it failed.
pub fn system(what: impl std::fmt::Display, errno: i32) -> Error {
    let reason = std::io::Error::from_raw_os_error(errno);
    error(Code::System, format!("{what}: {reason}"))
}
