//! The engine's part for ublk devices.

use crate::error::{Code, Error, Result, error, system};
use crate::ring::backend::Backend;
use crate::ring::door;
use crate::ring::engine::Engine;
use crate::ring::event::Wait;
use crate::ring::ublk::{Part, RELEASE_NS_MAX, Scattered, Served, TAGS_PER_DEVICE};

fn no_uring() -> Error {
    let message =
        "ublk: needs io_uring, which this reactor does not use (ring.backend, and the kernel's io_uring_disabled)";
    error(Code::UblkUnavailable, message)
}

impl Engine {
    /// Serves a device for a client of the block door.
    pub fn add_ublk(&mut self, served: &Served, tag_limit: u32) -> Result<u32> {
        let Backend::Uring(uring) = &mut self.backend else { return Err(no_uring()) };
        let left = tag_limit.saturating_sub(self.tcmus.places() * TAGS_PER_DEVICE);
        self.ublks.add(uring, served, left)
    }

    /// Requests of ublk devices are not answered any more.
    pub fn leave_ublks(&mut self) {
        self.ublks.leave();
    }

    pub fn next_ended_ublk(&mut self) -> Option<u32> {
        self.ublks.next_ended()
    }

    pub fn next_scattered(&mut self) -> Option<Scattered> {
        self.ublks.next_scattered().or_else(|| self.tcmus.next_scattered())
    }

    /// Copies a part of a scattered READ to its request.
    pub fn copy_part(&mut self, part: Part) -> Result<()> {
        let errno = if self.tcmus.has(part.tag) {
            self.tcmus.copy_part(&self.memory, part)
        } else {
            self.ublks.copy_part(&self.memory, part)
        };
        if errno == 0 { Ok(()) } else { Err(system("a part of a block device's READ", errno)) }
    }

    pub fn end_scattered(&mut self, tag: u32, errno: i32) -> Result<()> {
        if self.tcmus.has(tag) {
            return self.tcmus.end_scattered(&self.memory, self.control, tag, errno);
        }
        let Backend::Uring(uring) = &mut self.backend else { return Err(no_uring()) };
        self.ublks.end_scattered(uring, &self.memory, tag, errno);
        Ok(())
    }

    pub(super) fn has_entered(&self) -> bool {
        self.ublks.entered || self.tcmus.entered
    }

    pub(super) fn needs_attention(&self) -> bool {
        self.ublks.needs_attention() || self.tcmus.needs_attention()
    }

    /// Takes what the core tells of requests. Returns whether entries wait for the core.
    pub(super) fn take_told(&mut self) -> Result<bool> {
        let Backend::Uring(uring) = &mut self.backend else { return Ok(false) };
        if self.ublks.is_empty() && self.tcmus.is_empty() {
            return Ok(false);
        }
        (self.ublks.entered, self.tcmus.entered) = (false, false);
        while let Some(told) = door::take(&self.memory, self.control)? {
            self.urgent = true;
            if self.tcmus.has(told.tag) {
                self.tcmus.told(&self.memory, self.control, told)?;
            } else {
                self.ublks.told(uring, &self.memory, self.control, told)?;
            }
        }
        self.tcmus.tell_all(&self.memory, self.control)?;
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
