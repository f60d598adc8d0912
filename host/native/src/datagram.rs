//! Sends one datagram to a Unix socket, as sd_notify and syslog need it.

use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::error::{Code, Result, errno, error, system};

/// The socket address of `path`; a path that begins with `@` (or a null character) is an abstract address.
fn address(path: &str) -> Result<SocketAddr> {
    let address = match path.strip_prefix(['@', '\0']) {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(path),
    };
    address.map_err(|reason| error(Code::Argument, format!("path \"{path}\": {reason}")))
}

/// Sends one datagram to the Unix socket at `path`; a path that begins with `@` (or a null character) is an abstract
/// address, as in NOTIFY_SOCKET. Never blocks: throws when nobody listens or the receiver's queue is full.
#[napi(catch_unwind)]
pub fn send_datagram(path: String, bytes: Uint8Array) -> Result<()> {
    let address = address(&path)?;
    let failed = |errno: i32| system(format!("sending to \"{path}\""), errno);
    let raw = |reason: std::io::Error| failed(reason.raw_os_error().unwrap_or(libc::EIO));
    let socket = UnixDatagram::unbound().map_err(raw)?;
    socket.connect_addr(&address).map_err(raw)?;
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `bytes` can be read over its length.
    let sent = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    if usize::try_from(sent) == Ok(bytes.len()) { Ok(()) } else { Err(failed(errno())) }
}

/// Creates a Unix datagram socket bound to `path`, which receives what `sendDatagram` sends there; returns its
/// descriptor. Each read of it takes one datagram.
#[napi(catch_unwind)]
pub fn bind_datagram(path: String) -> Result<i32> {
    let bound = UnixDatagram::bind_addr(&address(&path)?);
    let failed =
        |reason: std::io::Error| system(format!("binding \"{path}\""), reason.raw_os_error().unwrap_or(libc::EIO));
    Ok(bound.map_err(failed)?.into_raw_fd())
}
