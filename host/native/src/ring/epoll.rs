//! The epoll backend, for machines where io_uring is forbidden: the same ops as non-blocking system calls.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::clock::now_ns;
use crate::error::{Result, errno, system};
use crate::ring::event::{Event, Readable, Wait};
use crate::ring::op::{Kind, Op};
use crate::ring::sockets::Socket;

const EVENTS_PER_CALL: usize = 256;

// The owner of an epoll entry: the high half of its data; the low half is the index.
const FOR_SOCKET: u64 = 0;
const FOR_WAKE: u64 = 1 << 32;
/// With a port's token.
const FOR_PORT: u64 = 1 << 63;

pub struct Epoll {
    epoll: OwnedFd,
    wake: RawFd,
    ready: Vec<libc::epoll_event>,
    /// False once the kernel has shown that it lacks epoll_pwait2 (5.11).
    precise: bool,
}

impl Epoll {
    pub fn open(wake: RawFd) -> Result<Self> {
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(system("epoll_create1", errno()));
        }
        // SAFETY: `fd` was just opened and nobody else owns it.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        let ready = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_PER_CALL];
        let this = Epoll { epoll, wake, ready, precise: true };
        this.control(libc::EPOLL_CTL_ADD, wake, libc::EPOLLIN, FOR_WAKE)?;
        Ok(this)
    }

    fn control(&self, what: i32, fd: RawFd, events: i32, data: u64) -> Result<()> {
        let mut event = libc::epoll_event { events: events.cast_unsigned(), u64: data };
        // SAFETY: `event` is valid during the call.
        if unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), what, fd, &raw mut event) } != 0 {
            return Err(system(format!("epoll_ctl of descriptor {fd}"), errno()));
        }
        Ok(())
    }

    /// Watches a socket, edge-triggered: one registration for its whole lifetime.
    pub fn add(&self, index: u32, fd: RawFd) -> Result<()> {
        let events = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        self.control(libc::EPOLL_CTL_ADD, fd, events, FOR_SOCKET | u64::from(index))
    }

    /// Watches a port's descriptor, edge-triggered: the driver wakes us with every answer.
    pub fn add_port(&self, token: u64, fd: RawFd) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN | libc::EPOLLET, FOR_PORT | token)
    }

    /// Required explicitly: closing does not remove it while a duplicate of the descriptor is open.
    pub fn remove(&self, fd: RawFd) {
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
    }

    /// Waits as specified and stores the events in `events`.
    pub fn turn(&mut self, wait: Wait, events: &mut Vec<Event>) -> Result<()> {
        let count = match self.wait(wait) {
            Ok(count) => count,
            Err(libc::EINTR) => 0,
            Err(errno) => return Err(system("epoll_wait", errno)),
        };
        for ready in &self.ready[..count] {
            let (bits, data) = (ready.events.cast_signed(), ready.u64);
            match data & !0xffff_ffff {
                FOR_SOCKET => {
                    let gone = bits & (libc::EPOLLHUP | libc::EPOLLERR) != 0;
                    let readable = gone || bits & (libc::EPOLLIN | libc::EPOLLRDHUP) != 0;
                    let writable = gone || bits & libc::EPOLLOUT != 0;
                    // Before readability: so the peer is known to be gone when its last bytes arrive.
                    if gone {
                        events.push(Event::HungUp { index: data as u32, gone });
                    }
                    events.push(Event::Socket { index: data as u32, readable, writable });
                }
                FOR_WAKE => {
                    let mut value = 0u64;
                    // SAFETY: `value` has the eight bytes that an eventfd returns.
                    if unsafe { libc::read(self.wake, (&raw mut value).cast(), 8) } == 8 {
                        events.push(Event::Wake);
                    }
                }
                _ => {
                    let gone = bits & (libc::EPOLLHUP | libc::EPOLLERR) != 0;
                    events.push(Event::Readable(Readable { token: data & !FOR_PORT, gone, ended: false }));
                }
            }
        }
        Ok(())
    }

    fn wait(&mut self, wait: Wait) -> std::result::Result<usize, i32> {
        let rest_ns = match wait {
            Wait::No => Some(0),
            Wait::Until(limit_ns) => Some(limit_ns.saturating_sub(now_ns())),
            Wait::Forever => None,
        };
        if self.precise && rest_ns != Some(0) {
            match self.wait_precisely(rest_ns) {
                Err(libc::ENOSYS) => self.precise = false,
                result => return result,
            }
        }
        // Rounded up: a turn that ends too early would find nothing due, and spin.
        let rest_ms = rest_ns.map_or(-1, |rest| i32::try_from(rest.div_ceil(1_000_000)).unwrap_or(i32::MAX));
        let (fd, events) = (self.epoll.as_raw_fd(), self.ready.as_mut_ptr());
        // SAFETY: `ready` has room for EVENTS_PER_CALL entries.
        count(i64::from(unsafe { libc::epoll_wait(fd, events, EVENTS_PER_CALL as i32, rest_ms) }))
    }

    fn wait_precisely(&mut self, rest_ns: Option<u64>) -> std::result::Result<usize, i32> {
        let rest = rest_ns.map(|rest| libc::timespec {
            tv_sec: (rest / 1_000_000_000).cast_signed(),
            tv_nsec: (rest % 1_000_000_000).cast_signed(),
        });
        let timeout = rest.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let no_mask = std::ptr::null::<libc::sigset_t>();
        let (fd, events) = (self.epoll.as_raw_fd(), self.ready.as_mut_ptr());
        // SAFETY: `ready` has room for EVENTS_PER_CALL entries, `timeout` is null or outlives the call.
        count(unsafe { libc::syscall(libc::SYS_epoll_pwait2, fd, events, EVENTS_PER_CALL, timeout, no_mask, 8usize) })
    }
}

fn count(result: i64) -> std::result::Result<usize, i32> {
    usize::try_from(result).map_err(|_| errno())
}

/// Tries a RECV or SEND once, as far as possible now. Returns bytes or a negated errno (-EAGAIN: not now).
pub fn attempt(op: &mut Op, socket: &mut Socket) -> i32 {
    let fd = socket.fd();
    let receives = op.kind == Kind::Recv;
    let result = if receives {
        let (buffer, bytes) = op.rest();
        // SAFETY: the range was checked when the op was accepted and lies in the core's memory.
        unsafe { libc::recv(fd, buffer.cast(), bytes as usize, libc::MSG_DONTWAIT) }
    } else {
        // SAFETY: the message's entries were checked when the op was accepted.
        unsafe { libc::sendmsg(fd, op.message(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) }
    };
    let result = i32::try_from(result).unwrap_or(i32::MAX);
    let result = if result < 0 { -errno() } else { result };
    if result == -libc::EAGAIN {
        if receives {
            socket.readable = false;
        } else {
            socket.writable = false;
        }
    }
    result
}
