//! Passes descriptors from one process to another over a Unix socket (SCM_RIGHTS, unix(7)).

use std::mem::zeroed;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};

use napi::Env;
use napi::bindgen_prelude::{Object, Uint8Array};
use napi_derive::napi;

use crate::error::{Code, Result, errno, error, system};
use crate::job::{MESSAGES, promise};

/// Longest piece that `receiveMessage` takes at once.
const MESSAGE_BYTES_MAX: u32 = 65536;

/// Bytes of the control message for one descriptor, aligned as the kernel requires.
#[repr(align(8))]
struct Control([u8; 32]);

/// A message with `tag` as its data and `control` as its control part. Its pointers are valid as long as the arguments.
fn message(part: &mut libc::iovec, control: &mut Control, tag: &mut [u8; 4]) -> libc::msghdr {
    part.iov_base = tag.as_mut_ptr().cast();
    part.iov_len = tag.len();
    // SAFETY: an all-zero header is an empty one.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: a pure computation.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(size_of::<RawFd>() as u32) } as _;
    header
}

/// Sends a copy of the descriptor `fd` to the process at the other end of `channel` (a seqpacket socket); `tag`
/// identifies it there. The caller's descriptor stays open. Blocks while the channel is full.
#[napi(catch_unwind)]
pub fn send_descriptor(channel: i32, fd: i32, tag: u32) -> Result<()> {
    let (mut control, mut tag, mut part) =
        (Control([0; 32]), tag.to_ne_bytes(), libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 });
    let header = message(&mut part, &mut control, &mut tag);
    // SAFETY: `header` points to `control`, which has room for the one message written into it; both outlive the call.
    let sent = unsafe {
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        (*first).cmsg_level = libc::SOL_SOCKET;
        (*first).cmsg_type = libc::SCM_RIGHTS;
        (*first).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
        libc::CMSG_DATA(first).cast::<RawFd>().write_unaligned(fd);
        libc::sendmsg(channel, &raw const header, libc::MSG_NOSIGNAL)
    };
    if sent == 4 { Ok(()) } else { Err(system(format!("sendDescriptor: descriptor {fd}"), errno())) }
}

/// Receives a descriptor (close-on-exec) that `sendDescriptor` sent, in order of sending, with its tag. Never blocks:
/// throws when there is none.
#[napi(catch_unwind)]
pub fn receive_descriptor(channel: i32) -> Result<GivenDescriptor> {
    let (mut control, mut tag, mut part) =
        (Control([0; 32]), [0u8; 4], libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 });
    let mut header = message(&mut part, &mut control, &mut tag);
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: `header` points to `tag` and `control` with their lengths; both outlive the call.
    let received = unsafe { libc::recvmsg(channel, &raw mut header, flags) };
    if received < 0 {
        return Err(system("receiveDescriptor", errno()));
    }
    // SAFETY: the kernel has filled `control` up to the length now in `header`.
    let given = unsafe {
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        let is_rights =
            !first.is_null() && (*first).cmsg_level == libc::SOL_SOCKET && (*first).cmsg_type == libc::SCM_RIGHTS;
        is_rights.then(|| OwnedFd::from_raw_fd(libc::CMSG_DATA(first).cast::<RawFd>().read_unaligned()))
    };
    match given {
        Some(fd) if received == 4 => Ok(GivenDescriptor { fd: fd.into_raw_fd(), tag: u32::from_ne_bytes(tag) }),
        _ => Err(error(Code::Argument, "receiveDescriptor: what came holds no descriptor")),
    }
}

/// Result of `receiveDescriptor`.
#[napi(object)]
pub struct GivenDescriptor {
    pub fd: i32,
    pub tag: u32,
}

/// What `receiveMessage` found.
#[napi(object)]
pub struct GivenMessage {
    /// Empty: the other end has closed.
    pub data: Uint8Array,
    /// A descriptor (close-on-exec) that came with the bytes.
    pub fd: Option<i32>,
}

/// The bytes that are there, at most `bytes_max`, and the one descriptor that may come with them: the kernel drops any
/// others.
fn receive(channel: RawFd, bytes_max: usize) -> Result<GivenMessage> {
    let mut data = vec![0u8; bytes_max];
    let mut control = Control([0; 32]);
    let mut part = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: an all-zero header is an empty one.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    // Not CMSG_SPACE: with its padding there would be room for a second descriptor, which nobody would close.
    // SAFETY: a pure computation.
    header.msg_controllen = unsafe { libc::CMSG_LEN(size_of::<RawFd>() as u32) } as _;
    // SAFETY: `header` points to `data` and `control` with their lengths; both outlive the call.
    let received = unsafe { libc::recvmsg(channel, &raw mut header, libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC) };
    let Ok(length) = usize::try_from(received) else {
        return Err(system("receiveMessage", errno()));
    };
    // SAFETY: the kernel has filled `control` up to the length now in `header`.
    let fd = unsafe {
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        let is_rights = !first.is_null()
            && (*first).cmsg_level == libc::SOL_SOCKET
            && (*first).cmsg_type == libc::SCM_RIGHTS
            && (*first).cmsg_len as usize >= libc::CMSG_LEN(size_of::<RawFd>() as u32) as usize;
        is_rights.then(|| libc::CMSG_DATA(first).cast::<RawFd>().read_unaligned())
    };
    data.truncate(length);
    Ok(GivenMessage { data: data.into(), fd })
}

/// Waits up to `timeout_ms` for bytes on a stream socket, on a thread of its own; null when none came. The caller owns a
/// descriptor that came with them.
#[napi(catch_unwind, ts_return_type = "Promise<GivenMessage | null>")]
pub fn receive_message(env: &Env, channel: i32, bytes_max: u32, timeout_ms: u32) -> Result<Object<'_>> {
    if bytes_max == 0 || bytes_max > MESSAGE_BYTES_MAX {
        let message = format!("receiveMessage: bytesMax is {bytes_max}; 1 to {MESSAGE_BYTES_MAX} can be received");
        return Err(error(Code::Argument, message));
    }
    let timeout = i32::try_from(timeout_ms).unwrap_or(i32::MAX);
    promise(env, &MESSAGES, move || {
        let mut poll = libc::pollfd { fd: channel, events: libc::POLLIN, revents: 0 };
        // SAFETY: `poll` is one entry, and outlives the call.
        match unsafe { libc::poll(&raw mut poll, 1, timeout) } {
            0 => Ok(None),
            ready if ready > 0 => receive(channel, bytes_max as usize).map(Some),
            _ if errno() == libc::EINTR => Ok(None),
            _ => Err(system("receiveMessage", errno())),
        }
    })
}
