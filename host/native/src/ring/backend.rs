//! The two interfaces to the kernel, behind a common one as far as they are alike.

use std::os::fd::RawFd;

use crate::error::Result;
use crate::ring::epoll::Epoll;
use crate::ring::uring::Uring;

// There is one per ring, so the size of its variants does not matter.
#[allow(clippy::large_enum_variant)]
pub enum Backend {
    Uring(Uring),
    Epoll(Epoll),
}

impl Backend {
    /// Opens the backend of that name; none when the name is unknown.
    pub fn open(name: &str, wake: RawFd, poll_ns: u64) -> Option<Result<Self>> {
        let uring = || Uring::open(wake, poll_ns).map(Backend::Uring);
        let epoll = || Epoll::open(wake).map(Backend::Epoll);
        match name {
            "io_uring" => Some(uring()),
            "epoll" => Some(epoll()),
            "auto" => Some(uring().or_else(|_| epoll())),
            _ => None,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Backend::Uring(_) => "io_uring",
            Backend::Epoll(_) => "epoll",
        }
    }

    /// Starts watching a port's descriptor.
    pub fn add_port(&self, token: u32, fd: RawFd) -> Result<()> {
        match self {
            Backend::Uring(_) => Ok(()),
            Backend::Epoll(epoll) => epoll.add_port(token, fd),
        }
    }

    /// Stops watching a descriptor, before it is closed.
    pub fn remove(&self, fd: RawFd) {
        if let Backend::Epoll(epoll) = self {
            epoll.remove(fd);
        }
    }

    /// Asks to be notified when a port's descriptor becomes readable; returns whether this has to be repeated after
    /// each notification.
    pub fn poll(&mut self, fd: RawFd, token: u32) -> bool {
        match self {
            Backend::Uring(uring) => {
                uring.poll(fd, token);
                true
            }
            Backend::Epoll(_) => false,
        }
    }
}
