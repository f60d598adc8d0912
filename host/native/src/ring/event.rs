//! The events that a backend reports, and how long it may wait.

/// One event.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A step of an op ended with this result (bytes, or a negated errno).
    Op { index: u32, result: i32 },
    /// Somebody wrote to the wake descriptor.
    Wake,
    /// News of a port's descriptor.
    Readable(Readable),
    /// The ublk driver has a request under a tag, or gives the tag up (negative).
    Ublk { token: u32, result: i32 },
    /// A TCMU device has news, or is gone.
    Uio { token: u32, gone: bool },
    /// epoll only: a socket may be ready.
    Socket { index: u32, readable: bool, writable: bool },
    /// The socket's peer has closed it, or the connection is broken; or (not `gone`) the peer has only stopped sending.
    HungUp { index: u32, gone: bool },
}

/// A port's descriptor is readable, or its device is gone.
#[derive(Clone, Copy, Debug)]
pub struct Readable {
    /// The one that the port assigned.
    pub token: u64,
    pub gone: bool,
    /// There will be no more news unless it is watched again.
    pub ended: bool,
}

/// How long a turn may wait for the first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    No,
    /// Until CLOCK_MONOTONIC reaches this many nanoseconds.
    Until(u64),
    Forever,
}
