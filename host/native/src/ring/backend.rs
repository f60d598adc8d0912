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

    /// Starts reporting when a port's descriptor becomes readable, or its device goes; until `unwatch`.
    pub fn watch(&mut self, token: u64, fd: RawFd) -> Result<()> {
        match self {
            Backend::Uring(uring) => {
                uring.watch_port(fd, token);
                Ok(())
            }
            Backend::Epoll(epoll) => epoll.add_port(token, fd),
        }
    }

    /// Stops that, before the descriptor is closed. `settle` has to follow.
    pub fn unwatch(&mut self, token: u64, fd: RawFd) {
        match self {
            Backend::Uring(uring) => uring.unwatch_port(token),
            Backend::Epoll(epoll) => epoll.remove(fd),
        }
    }

    /// The kernel lets go of everything that is not watched any more.
    pub fn settle(&mut self) {
        if let Backend::Uring(uring) = self {
            uring.settle();
        }
    }
}
