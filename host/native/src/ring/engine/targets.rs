//! The engine's part for TCMU devices.

use crate::error::{Code, Error, Result, error};
use crate::ring::backend::Backend;
use crate::ring::engine::Engine;
use crate::ring::tcmu::{News, TcmuOptions};
use crate::ring::tcmu_ring::TcmuRing;
use crate::ring::ublk::TAGS_PER_DEVICE;

fn no_uring() -> Error {
    let message =
        "tcmu: needs io_uring, which this reactor does not use (ring.backend, and the kernel's io_uring_disabled)";
    error(Code::UringUnavailable, message)
}

impl Engine {
    /// Serves a TCMU device.
    pub fn add_tcmu(&mut self, ring: TcmuRing, options: &TcmuOptions, tag_limit: u32) -> Result<u32> {
        let Backend::Uring(uring) = &mut self.backend else { return Err(no_uring()) };
        let places = (tag_limit / TAGS_PER_DEVICE).saturating_sub(self.ublks.places());
        self.tcmus.add(uring, ring, options, tag_limit, places)
    }

    pub fn close_tcmu(&mut self, place: u32) -> Result<()> {
        let Backend::Uring(uring) = &mut self.backend else { return Err(no_uring()) };
        self.tcmus.close(uring, place)
    }

    pub fn leave_tcmus(&mut self) {
        self.tcmus.leave();
    }

    pub fn attend_tcmu(&mut self, place: u32, code: u8, qualifier: u8) -> Result<()> {
        self.tcmus.attend(place, code, qualifier)
    }

    pub fn set_tcmu_client(&mut self, place: u32, client: u32) -> Result<()> {
        self.tcmus.set_client(place, client)
    }

    pub fn set_tcmu_blocks(&mut self, place: u32, blocks: u64) -> Result<()> {
        self.tcmus.set_blocks(place, blocks)
    }

    pub fn next_tcmu_news(&mut self) -> Option<News> {
        self.tcmus.next_news()
    }

    pub fn next_asked(&mut self) -> Option<(u32, u32, [u8; 16], u32)> {
        self.tcmus.next_asked()
    }

    pub fn asked_data(&self, tag: u32, bytes: u32) -> Vec<u8> {
        self.tcmus.asked_data(tag, bytes)
    }

    pub fn answer_asked(&mut self, tag: u32, status: u8, sense: &[u8], data: Option<&[u8]>) {
        self.tcmus.answer_asked(tag, status, sense, data);
    }

    pub(super) fn uio_arrived(&mut self, token: u32, gone: bool) -> Result<()> {
        let Backend::Uring(uring) = &mut self.backend else { return Ok(()) };
        self.tcmus.arrived(uring, &self.memory, self.control, token, gone)
    }
}
