//! Device files whose opening, closing or writing may take as long as the kernel's error recovery: on threads of their
//! own.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::error::{Code, Result, error, system};
use crate::job::{FILES, promise};

/// Writes `text` to an attribute below /sys. The kernel may block it: a queue's scheduler is changed only after every
/// command in the queue has completed.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn write_attribute<'env>(env: &'env Env, file: String, text: String) -> Result<Object<'env>> {
    promise(env, &FILES, move || {
        let opened = OpenOptions::new().write(true).open(&file);
        // One write: an attribute takes its whole value at once.
        let written = opened.and_then(|mut attribute| attribute.write_all(text.as_bytes()));
        written.map_err(|reason| system(format!("attribute {file}"), reason.raw_os_error().unwrap_or(libc::EIO)))
    })
}

/// Opens a block device exclusively, for reading; returns the descriptor, or the negated errno. An open waits until the
/// error recovery of the host adapter has ended, whatever its flags.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn open_exclusive<'env>(env: &'env Env, device: String) -> Result<Object<'env>> {
    promise(env, &FILES, move || {
        let flags = libc::O_EXCL | libc::O_NONBLOCK | libc::O_CLOEXEC;
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(device);
        Ok(match opened {
            Ok(file) => file.into_raw_fd(),
            Err(reason) => -reason.raw_os_error().unwrap_or(libc::EIO),
        })
    })
}

/// Closes a descriptor that `openExclusive` returned: this may also wait for the device, to write back dirty data of
/// others.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn close_device<'env>(env: &'env Env, fd: i32) -> Result<Object<'env>> {
    if fd < 3 {
        return Err(error(Code::Argument, format!("closeDevice: {fd} is a standard stream or no descriptor")));
    }
    // SAFETY: the caller states that it is the descriptor's only owner and gives it up.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    promise(env, &FILES, move || {
        drop(file);
        Ok(())
    })
}
