//! Output without waiting.

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::error::errno;

/// Writes as much of `bytes` as the descriptor takes without blocking; returns the number of bytes written, or a
/// negated errno: -EAGAIN when the reader has to read first. The descriptor's flags are not changed, because other
/// processes may share them.
#[napi(catch_unwind)]
pub fn write_now(fd: i32, bytes: Uint8Array) -> i64 {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `bytes` can be read over its length.
    let sent = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) };
    if sent >= 0 {
        return sent as i64;
    }
    match errno() {
        libc::ENOTSOCK => write_if_ready(fd, &bytes),
        failed => -i64::from(failed),
    }
}

/// Writes what a pipe or terminal that is ready takes at once.
fn write_if_ready(fd: i32, bytes: &[u8]) -> i64 {
    let mut ready = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one entry is passed; the call does not block.
    let polled = unsafe { libc::poll(&raw mut ready, 1, 0) };
    if polled < 0 {
        return -i64::from(errno());
    }
    if polled == 0 {
        return -i64::from(libc::EAGAIN);
    }
    let length = bytes.len().min(libc::PIPE_BUF);
    // SAFETY: `bytes` can be read over `length`.
    let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), length) };
    if written < 0 { -i64::from(errno()) } else { written as i64 }
}
