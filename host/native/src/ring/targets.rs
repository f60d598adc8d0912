//! The ring's calls for TCMU devices.

use std::os::fd::{FromRawFd, OwnedFd};

use napi::bindgen_prelude::{BigInt, Uint8Array};
use napi_derive::napi;

use crate::error::{Code, Result, error};
use crate::ring::cdb::Medium;
use crate::ring::tcmu::{News, TcmuOptions};
use crate::ring::tcmu_ring::TcmuRing;
use crate::ring::{Ring, with_engine};

/// A TCMU device to serve.
#[napi(object)]
pub struct TcmuDevice {
    /// /dev/uioN. A test leaves it out and gives a descriptor for its events and one to map; the ring owns the former.
    pub device: Option<String>,
    pub events: Option<i32>,
    pub mapped: Option<i32>,
    /// Bytes of its mapping.
    pub bytes: u32,
    /// For which client of the core's block door, which has `tagLimit` tags.
    pub client: u32,
    pub tag_limit: u32,
    /// 512 to 4096, a power of two.
    pub block_bytes: u32,
    pub blocks: BigInt,
    pub read_only: bool,
    pub unmaps: bool,
}

/// A command that the ring does not know.
#[napi(object)]
pub struct AskedCommand {
    /// For its answer.
    pub tag: u32,
    pub device: u32,
    /// 16 bytes; what lies behind its end is 0.
    pub cdb: Uint8Array,
    /// Bytes of its data, in whichever direction.
    pub bytes: u32,
}

/// What the reactor has to look after.
#[napi(object)]
pub struct TcmuNews {
    /// `reset`: what is under way is to be given up; `ended`: the device is gone, or its ring is unusable.
    #[napi(ts_type = "'reset' | 'ended'")]
    pub what: String,
    pub device: u32,
}

fn ring_of(options: &TcmuDevice) -> Result<TcmuRing> {
    match (&options.device, options.events, options.mapped) {
        (Some(device), _, _) => TcmuRing::open(device, options.bytes),
        (None, Some(events), Some(mapped)) if events > 2 => {
            // SAFETY: the caller states that it is the descriptor's only owner and gives it up.
            TcmuRing::map(unsafe { OwnedFd::from_raw_fd(events) }, mapped, options.bytes)
        }
        _ => Err(error(Code::Argument, "tcmu: needs `device`, or `events` and `mapped`")),
    }
}

#[napi]
impl Ring {
    /// Serves a TCMU device. Its reads and writes arrive as entries of the block door from then on; other commands are
    /// asked about (`nextAsked`). Returns its handle. Throws ERR_NATIVE_URING_UNAVAILABLE without io_uring.
    #[napi(catch_unwind)]
    pub fn add_tcmu(&self, options: TcmuDevice) -> Result<u32> {
        let TcmuDevice { client, tag_limit, block_bytes, read_only, unmaps, .. } = options;
        if !block_bytes.is_power_of_two() || !(512..=4096).contains(&block_bytes) {
            return Err(error(
                Code::Argument,
                format!("blockBytes: {block_bytes} is no power of two from 512 to 4096"),
            ));
        }
        let blocks = options.blocks.get_u64().1;
        let ring = ring_of(&options)?;
        let medium = Medium { block_bytes, blocks, read_only, unmaps };
        with_engine(self.token(), |engine| engine.add_tcmu(ring, &TcmuOptions { client, medium }, tag_limit))
    }

    /// Ends that. Commands that are not answered stay in the kernel's ring, for the next handler.
    #[napi(catch_unwind)]
    pub fn close_tcmu(&self, device: u32) -> Result<()> {
        with_engine(self.token(), |engine| engine.close_tcmu(device))
    }

    /// From now on no command of a TCMU device is answered.
    #[napi(catch_unwind)]
    pub fn leave_tcmus(&self) -> Result<()> {
        with_engine(self.token(), |engine| {
            engine.leave_tcmus();
            Ok(())
        })
    }

    /// Further requests of the device are those of another client.
    #[napi(catch_unwind)]
    pub fn tcmu_client(&self, device: u32, client: u32) -> Result<()> {
        with_engine(self.token(), |engine| engine.set_tcmu_client(device, client))
    }

    /// The device's next command ends with a unit attention.
    #[napi(catch_unwind)]
    pub fn tcmu_attention(&self, device: u32, code: u8, qualifier: u8) -> Result<()> {
        with_engine(self.token(), |engine| engine.attend_tcmu(device, code, qualifier))
    }

    /// The unit has another size.
    #[napi(catch_unwind)]
    pub fn tcmu_blocks(&self, device: u32, blocks: BigInt) -> Result<()> {
        with_engine(self.token(), |engine| engine.set_tcmu_blocks(device, blocks.get_u64().1))
    }

    /// What has happened to TCMU devices, each once.
    #[napi(catch_unwind)]
    pub fn next_tcmu_news(&self) -> Result<Option<TcmuNews>> {
        with_engine(self.token(), |engine| {
            Ok(engine.next_tcmu_news().map(|news| match news {
                News::Reset(device) => TcmuNews { what: "reset".into(), device },
                News::Ended(device) => TcmuNews { what: "ended".into(), device },
            }))
        })
    }

    /// The commands that the ring does not know, each once.
    #[napi(catch_unwind)]
    pub fn next_asked(&self) -> Result<Option<AskedCommand>> {
        with_engine(self.token(), |engine| {
            Ok(engine.next_asked().map(|(tag, device, cdb, bytes)| AskedCommand {
                tag,
                device,
                cdb: cdb.to_vec().into(),
                bytes,
            }))
        })
    }

    /// The first bytes of an asked command's data; fewer where it has not so many.
    #[napi(catch_unwind)]
    pub fn asked_data(&self, tag: u32, bytes: u32) -> Result<Uint8Array> {
        with_engine(self.token(), |engine| Ok(engine.asked_data(tag, bytes).into()))
    }

    /// Answers an asked command. `data`: what it reads. Nothing happens when it is no longer asked.
    #[napi(catch_unwind)]
    pub fn answer_asked(&self, tag: u32, status: u32, sense: Uint8Array, data: Option<Uint8Array>) -> Result<()> {
        with_engine(self.token(), |engine| {
            engine.answer_asked(tag, status as u8, &sense, data.as_deref());
            Ok(())
        })
    }
}
