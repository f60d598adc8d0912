//! The engine's part for ublk devices.

use crate::error::{Code, Error, Result, error, system};
use crate::ring::backend::Backend;
use crate::ring::door;
use crate::ring::engine::Engine;
use crate::ring::event::Wait;
use crate::ring::ublk::{Part, RELEASE_NS_MAX, Scattered, Served};

fn no_uring() -> Error {
    let message =
        "ublk: needs io_uring, which this reactor does not use (ring.backend, and the kernel's io_uring_disabled)";
    error(Code::UblkUnavailable, message)
}

impl Engine {
    /// Serves a device for a client of the block door.
    pub fn add_ublk(&mut self, served: &Served, tag_limit: u32) -> Result<u32> {
        let Backend::Uring(uring) = &mut self.backend else { return Err(no_uring()) };
        self.ublks.add(uring, served, tag_limit)
    }

    /// Requests of ublk devices are not answered any more.
    pub fn leave_ublks(&mut self) {
        self.ublks.leave();
    }

    pub fn next_ended_ublk(&mut self) -> Option<u32> {
        self.ublks.next_ended()
    }

    pub fn next_scattered(&mut self) -> Option<Scattered> {
        self.ublks.next_scattered()
    }

    /// Copies a part of a scattered READ to its request.
    pub fn copy_part(&mut self, part: Part) -> Result<()> {
        match self.ublks.copy_part(&self.memory, part) {
            0 => Ok(()),
            errno => Err(system("a part of a ublk READ", errno)),
        }
    }

    pub fn end_scattered(&mut self, tag: u32, errno: i32) -> Result<()> {
        let Backend::Uring(uring) = &mut self.backend else { return Err(no_uring()) };
        self.ublks.end_scattered(uring, &self.memory, tag, errno);
        Ok(())
    }

    /// Takes what the core tells of requests. Returns whether entries wait for the core.
    pub(super) fn take_told(&mut self) -> Result<bool> {
        let Backend::Uring(uring) = &mut self.backend else { return Ok(false) };
        if self.ublks.is_empty() {
            return Ok(false);
        }
        self.urgent |= self.ublks.take_told(uring, &self.memory, self.control)?;
        Ok(door::entries_wait(&self.memory, self.control))
    }

    /// What was queued has been submitted.
    pub(super) fn submitted(&mut self) -> Result<()> {
        self.ublks.submitted(&self.memory, self.control)
    }

    /// The limit, or earlier if buffers of the core's are lent until then.
    pub(super) fn before_release(&self, limit: Wait) -> Wait {
        if !self.ublks.has_lent() {
            return limit;
        }
        let release_ns = self.finished.now_ns + RELEASE_NS_MAX;
        match limit {
            Wait::No => Wait::No,
            Wait::Until(limit_ns) => Wait::Until(limit_ns.min(release_ns)),
            Wait::Forever => Wait::Until(release_ns),
        }
    }

    pub(super) fn arrived(&mut self, token: u32, result: i32) -> Result<()> {
        let Backend::Uring(uring) = &mut self.backend else { return Ok(()) };
        self.ublks.arrived(uring, &self.memory, self.control, token, result)
    }
}
