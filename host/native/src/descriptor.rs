//! One-shot functions on descriptors.

use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

use napi_derive::napi;

use crate::error::{Code, Result, errno, error, system};

/// The peer of a Unix socket, as recorded by the kernel when the connection was made.
#[napi(object)]
pub struct PeerCredentials {
    pub pid: i32,
    pub uid: u32,
    pub gid: u32,
    /// The peer's supplementary groups.
    pub groups: Vec<u32>,
}

/// Takes ownership of a descriptor that a system call has just returned, or returns the call's error.
fn opened(fd: i32, what: impl std::fmt::Display) -> Result<OwnedFd> {
    if fd < 0 {
        return Err(system(what, errno()));
    }
    // SAFETY: the kernel has just returned `fd`; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Duplicates a descriptor (close-on-exec); both refer to the same open file.
#[napi(catch_unwind)]
pub fn duplicate(fd: i32) -> Result<i32> {
    // SAFETY: no pointers are passed.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    Ok(opened(copy, format!("duplicate: descriptor {fd}"))?.into_raw_fd())
}

/// Closes a descriptor that this process opened or duplicated itself.
#[napi(catch_unwind)]
pub fn close_descriptor(fd: i32) -> Result<()> {
    if fd < 3 {
        return Err(error(Code::Argument, format!("closeDescriptor: {fd} is a standard stream or no descriptor")));
    }
    // SAFETY: no pointers are passed; the caller states that it owns the descriptor.
    if unsafe { libc::close(fd) } != 0 && errno() != libc::EINTR {
        return Err(system(format!("closeDescriptor: descriptor {fd}"), errno()));
    }
    Ok(())
}

/// Whether the peer of a socket has closed the connection or broken it, even while bytes are unread: the condition that
/// the ring's WATCH reports. A peer that has only stopped sending has not.
#[napi(catch_unwind)]
pub fn is_broken(fd: i32) -> Result<bool> {
    let mut watched = libc::pollfd { fd, events: 0, revents: 0 };
    // SAFETY: `watched` is the one entry passed.
    if unsafe { libc::poll(&raw mut watched, 1, 0) } < 0 && errno() != libc::EINTR {
        return Err(system(format!("isBroken: descriptor {fd}"), errno()));
    }
    Ok(watched.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0)
}

/// A pair of connected Unix sockets (close-on-exec), blocking unless `nonBlocking` is true.
#[napi(catch_unwind, ts_return_type = "[number, number]")]
pub fn socket_pair(
    #[napi(ts_arg_type = "'stream' | 'seqpacket'")] kind: String,
    non_blocking: Option<bool>,
) -> Result<Vec<i32>> {
    let flags = if non_blocking == Some(true) { libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK } else { libc::SOCK_CLOEXEC };
    let kind = match kind.as_str() {
        "stream" => libc::SOCK_STREAM,
        "seqpacket" => libc::SOCK_SEQPACKET,
        other => {
            let message = format!("kind: \"{other}\" is unknown; use \"stream\" or \"seqpacket\"");
            return Err(error(Code::Argument, message));
        }
    };
    let mut pair = [-1i32; 2];
    // SAFETY: `pair` has room for the two descriptors.
    let status = unsafe { libc::socketpair(libc::AF_UNIX, kind | flags, 0, pair.as_mut_ptr()) };
    if status != 0 {
        return Err(system("socketPair", errno()));
    }
    Ok(pair.to_vec())
}

/// The peer of a connected Unix socket.
#[napi(catch_unwind)]
pub fn peer_credentials(fd: i32) -> Result<PeerCredentials> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut bytes = size_of::<libc::ucred>() as libc::socklen_t;
    let at = (&raw mut peer).cast();
    // SAFETY: `bytes` says how large `peer` is.
    if unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, at, &raw mut bytes) } != 0 {
        return Err(system(format!("peerCredentials: descriptor {fd}"), errno()));
    }
    Ok(PeerCredentials { pid: peer.pid, uid: peer.uid, gid: peer.gid, groups: peer_groups(fd) })
}

/// The peer's supplementary groups; none on a kernel without SO_PEERGROUPS (4.13).
fn peer_groups(fd: i32) -> Vec<u32> {
    let mut groups = vec![0u32; 64];
    loop {
        let mut bytes = (groups.len() * size_of::<u32>()) as libc::socklen_t;
        let at = groups.as_mut_ptr().cast();
        // SAFETY: `bytes` says how much room `groups` has.
        let status = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERGROUPS, at, &raw mut bytes) };
        let count = bytes as usize / size_of::<u32>();
        if status == 0 {
            groups.truncate(count);
            return groups;
        }
        if errno() != libc::ERANGE || count <= groups.len() {
            return Vec::new();
        }
        groups.resize(count, 0);
    }
}
