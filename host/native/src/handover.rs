//! Descriptors that one process gives to another over a Unix socket (SCM_RIGHTS, unix(7)).

use std::mem::zeroed;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};

use napi_derive::napi;

use crate::error::{Code, Result, errno, error, system};

/// Bytes of one descriptor's control message, aligned as the kernel wants it.
#[repr(align(8))]
struct Control([u8; 32]);

/// A message of `tag`, with `control` beside it. The pointers are valid as long as what they point to.
fn message(part: &mut libc::iovec, control: &mut Control, tag: &mut [u8; 4]) -> libc::msghdr {
    part.iov_base = tag.as_mut_ptr().cast();
    part.iov_len = tag.len();
    // SAFETY: a header of zeroes is an empty one.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: it only computes.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(size_of::<RawFd>() as u32) } as _;
    header
}

/// Gives a copy of the descriptor `fd` to whoever reads from the other end of `channel` (a seqpacket socket); `tag` tells it
/// from others. One's own stays open. Waits while the channel is full.
#[napi(catch_unwind)]
pub fn send_descriptor(channel: i32, fd: i32, tag: u32) -> Result<()> {
    let (mut control, mut tag, mut part) =
        (Control([0; 32]), tag.to_ne_bytes(), libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 });
    let header = message(&mut part, &mut control, &mut tag);
    // SAFETY: `header` names `control`, which has room for the one message written into it; everything outlives the call.
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

/// A descriptor (close-on-exec) that was given by `sendDescriptor`, in the order in which they were, with its tag. Never
/// waits: throws when there is none.
#[napi(catch_unwind)]
pub fn receive_descriptor(channel: i32) -> Result<GivenDescriptor> {
    let (mut control, mut tag, mut part) =
        (Control([0; 32]), [0u8; 4], libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 });
    let mut header = message(&mut part, &mut control, &mut tag);
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: `header` names `tag` and `control` with their lengths; both outlive the call.
    let received = unsafe { libc::recvmsg(channel, &raw mut header, flags) };
    if received < 0 {
        return Err(system("receiveDescriptor", errno()));
    }
    // SAFETY: the kernel has filled `control` as far as `header` says now.
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

/// What `receiveDescriptor` answers.
#[napi(object)]
pub struct GivenDescriptor {
    pub fd: i32,
    pub tag: u32,
}
