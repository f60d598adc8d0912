//! The sockets of a ring, and the handles by which the core refers to them.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::error::{Code, Result, errno, error, system};
use crate::ring::op::OpList;

/// Maximum number of sockets of a ring: a handle has 15 bits for the place and 16 for the generation.
const SOCKETS_MAX: usize = 1 << 15;
/// Requested size of a socket's send buffer: a few of the largest replies, so that a SEND rarely waits.
static SEND_BUFFER_BYTES: libc::c_int = 4 << 20;

pub struct Socket {
    /// None when the place is free.
    pub descriptor: Option<OwnedFd>,
    generation: u16,
    pub recvs: OpList,
    pub sends: OpList,
    /// Tag of the CLOSE in progress.
    pub closing: Option<u32>,
    /// Tag of the WATCH in progress.
    pub watch: Option<u32>,
    /// io_uring only: a poll for the peer's hang-up is outstanding in the kernel.
    pub polled: bool,
    /// epoll only: the peer has closed it.
    pub hung_up: bool,
    /// epoll only: the last state reported by the kernel, until a call returns EAGAIN.
    pub readable: bool,
    pub writable: bool,
}

impl Socket {
    pub fn fd(&self) -> RawFd {
        self.descriptor.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

pub struct Sockets {
    table: Vec<Socket>,
    free: Vec<u32>,
}

impl Sockets {
    pub fn new() -> Self {
        Sockets { table: Vec::new(), free: Vec::new() }
    }

    pub fn get(&mut self, index: u32) -> &mut Socket {
        &mut self.table[index as usize]
    }

    pub fn len(&self) -> u32 {
        self.table.len() as u32
    }

    /// Handle of the socket at `index`.
    pub fn handle(&self, index: u32) -> u32 {
        (u32::from(self.table[index as usize].generation) << 15) | index
    }

    /// Index of the socket with this handle, unless it is closed or closing.
    pub fn find(&self, handle: u32) -> Option<u32> {
        let index = handle & (SOCKETS_MAX as u32 - 1);
        let socket = self.table.get(index as usize)?;
        let open = socket.descriptor.is_some() && socket.closing.is_none();
        (open && u32::from(socket.generation) == handle >> 15).then_some(index)
    }

    /// Takes ownership of the descriptor and assigns it a place.
    pub fn add(&mut self, descriptor: OwnedFd) -> Result<u32> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.table.len() < SOCKETS_MAX => {
                self.table.push(Socket {
                    descriptor: None,
                    generation: 0,
                    recvs: OpList::EMPTY,
                    sends: OpList::EMPTY,
                    closing: None,
                    watch: None,
                    polled: false,
                    hung_up: false,
                    readable: true,
                    writable: true,
                });
                (self.table.len() - 1) as u32
            }
            None => return Err(error(Code::Limit, format!("addSocket: {SOCKETS_MAX} sockets are open already"))),
        };
        let socket = self.get(index);
        // Never generation 0, so that no handle is 0, the value in a core's zeroed table.
        socket.generation = socket.generation.wrapping_add(1).max(1);
        socket.descriptor = Some(descriptor);
        socket.closing = None;
        socket.watch = None;
        socket.hung_up = false;
        socket.readable = true;
        socket.writable = true;
        Ok(index)
    }

    /// Closes the descriptor and frees the place for another socket.
    pub fn remove(&mut self, index: u32) {
        self.get(index).descriptor = None;
        self.free.push(index);
    }
}

/// Takes ownership of a descriptor from JavaScript after checking that it is a stream socket.
pub fn adopt(fd: i32) -> Result<OwnedFd> {
    let mut kind: libc::c_int = 0;
    let mut bytes = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `kind` and `bytes` are valid to write to, and `bytes` says how large `kind` is.
    let status =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, (&raw mut kind).cast(), &raw mut bytes) };
    if status != 0 {
        return Err(match errno() {
            libc::ENOTSOCK => error(Code::Argument, format!("descriptor {fd}: is no socket")),
            libc::EBADF => error(Code::Argument, format!("descriptor {fd}: is not open")),
            other => system(format!("getsockopt of descriptor {fd}"), other),
        });
    }
    if kind != libc::SOCK_STREAM {
        return Err(error(Code::Argument, format!("descriptor {fd}: is no stream socket")));
    }
    // SAFETY: it is open, and the caller gives it up (that is the meaning of `addSocket`).
    let descriptor = unsafe { OwnedFd::from_raw_fd(fd) };
    widen_send_buffer(fd);
    Ok(descriptor)
}

/// Asks for a large send buffer on a Unix socket. TCP tunes its own. A refusal is harmless: SENDs then wait more often.
fn widen_send_buffer(fd: RawFd) {
    let mut domain: libc::c_int = 0;
    let mut bytes = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: as in `adopt`.
    unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_DOMAIN, (&raw mut domain).cast(), &raw mut bytes) };
    if domain != libc::AF_UNIX {
        return;
    }
    for option in [libc::SO_SNDBUFFORCE, libc::SO_SNDBUF] {
        // SAFETY: the option value is a c_int that lives over the call.
        let status =
            unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, (&raw const SEND_BUFFER_BYTES).cast(), bytes) };
        if status == 0 {
            return;
        }
    }
}
