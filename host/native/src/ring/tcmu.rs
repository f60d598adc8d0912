//! The commands of TCMU devices: those that read and write become requests of the core's block door, others are asked about.
//!
//! A device has a place of TAGS_PER_DEVICE tags at the door, from the last tag down (ublk's begin with the first). A command that is
//! more than one request (UNMAP with several ranges, WRITE SAME with a pattern, VERIFY) makes them one after the other.

mod answers;
mod commands;

use crate::error::{Code, Result, error};
use crate::memory::CoreMemory;
use crate::ring::cdb::{self, Medium, Sense};
use crate::ring::tcmu_ring::{Area, Entry, TcmuRing};
use crate::ring::ublk::{Scattered, TAGS_PER_DEVICE};
use crate::ring::uring::Uring;

use commands::Command;

/// Places in which a command's data may lie: 1 MiB in pages of 4 KiB, and one more.
const AREAS_MAX: usize = 257;

pub const STATUS_GOOD: u8 = 0x00;
const STATUS_CHECK_CONDITION: u8 = 0x02;
const STATUS_CONFLICT: u8 = 0x18;
const STATUS_ABORTED: u8 = 0x40;

/// LUN RESET, the two target resets, and LUN RESET of another initiator's making.
const RESETS: [u8; 4] = [5, 6, 7, 128];

/// What the core's host has to look after.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// A logical unit reset: what was under way is to be given up.
    Reset(u32),
    /// The kernel's device is gone, or its ring is unusable.
    Ended(u32),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    /// The door has a request for it.
    Serving,
    /// Its answer is asked for.
    Asked,
    /// Its device is gone: only the door still has it.
    Orphan,
}

/// One command, in a place of its own that is used again.
struct Slot {
    state: State,
    id: u16,
    cdb: [u8; 16],
    areas: Vec<Area>,
    bytes: u32,
    command: Command,
}

struct Device {
    /// None: it is closed, and only the door still has something of it.
    ring: Option<TcmuRing>,
    token: u32,
    client: u32,
    medium: Medium,
    slots: Vec<Slot>,
    free: Vec<u8>,
    /// Answers are withheld.
    leaving: bool,
    /// What the next command is to be told instead of being carried out.
    attention: Option<Sense>,
}

impl Device {
    fn is_over(&self) -> bool {
        self.ring.is_none() && self.free.len() == self.slots.len()
    }

    /// The kernel waits for none of them here any more; what the core is at work on comes back to nobody.
    fn leave_commands(&mut self) {
        for (number, slot) in self.slots.iter_mut().enumerate() {
            match slot.state {
                State::Serving => slot.state = State::Orphan,
                State::Asked => {
                    slot.state = State::Free;
                    self.free.push(number as u8);
                }
                _ => {}
            }
        }
    }
}

/// A new device.
pub struct TcmuOptions {
    pub client: u32,
    pub medium: Medium,
}

#[derive(Default)]
pub struct Tcmus {
    table: Vec<Option<Device>>,
    tag_limit: u32,
    next_token: u32,
    asked: Vec<u32>,
    news: Vec<News>,
    scattered: Vec<Scattered>,
    /// Entries were written since the core ran.
    pub entered: bool,
}

fn empty_slot() -> Slot {
    let areas = Vec::with_capacity(AREAS_MAX);
    Slot { state: State::Free, id: 0, cdb: [0; 16], areas, bytes: 0, command: Command::NONE }
}

impl Tcmus {
    /// Places in use, counted from the last tag.
    pub fn places(&self) -> u32 {
        self.table.len() as u32
    }

    pub fn is_empty(&self) -> bool {
        self.table.iter().all(Option::is_none)
    }

    pub fn has(&self, tag: u32) -> bool {
        tag < self.tag_limit && (self.tag_limit - 1 - tag) / TAGS_PER_DEVICE < self.places()
    }

    fn tag(&self, place: u32, slot: u32) -> u32 {
        self.tag_limit - (place + 1) * TAGS_PER_DEVICE + slot
    }

    fn of(&self, tag: u32) -> (usize, usize) {
        let from_end = self.tag_limit - 1 - tag;
        let slot = TAGS_PER_DEVICE - 1 - from_end % TAGS_PER_DEVICE;
        ((from_end / TAGS_PER_DEVICE) as usize, slot as usize)
    }

    fn device(&mut self, place: u32) -> Result<&mut Device> {
        let found = self.table.get_mut(place as usize).and_then(Option::as_mut).filter(|device| device.ring.is_some());
        found.ok_or_else(|| error(Code::Handle, format!("tcmu: {place} is no device that is served")))
    }

    /// Serves a ring for a client of the door. `places` are those that ublk leaves. Returns its handle.
    pub fn add(
        &mut self,
        uring: &mut Uring,
        ring: TcmuRing,
        options: &TcmuOptions,
        tag_limit: u32,
        places: u32,
    ) -> Result<u32> {
        self.tag_limit = tag_limit;
        let place = match self.table.iter().position(Option::is_none) {
            Some(place) => place,
            None if self.places() < places => {
                self.table.push(None);
                self.table.len() - 1
            }
            None => return Err(error(Code::Limit, format!("tcmu: {places} block devices are served already"))),
        };
        let token = self.next_token;
        self.next_token = self.next_token.wrapping_add(1);
        uring.poll_uio(ring.fd(), token);
        let &TcmuOptions { client, medium } = options;
        let slots = (0..TAGS_PER_DEVICE).map(|_| empty_slot()).collect();
        let free = (0..TAGS_PER_DEVICE).rev().map(|slot| slot as u8).collect();
        self.table[place] =
            Some(Device { ring: Some(ring), token, client, medium, slots, free, leaving: false, attention: None });
        Ok(place as u32)
    }

    /// Serves it for another client from now on.
    pub fn set_client(&mut self, place: u32, client: u32) -> Result<()> {
        self.device(place)?.client = client;
        Ok(())
    }

    pub fn set_blocks(&mut self, place: u32, blocks: u64) -> Result<()> {
        self.device(place)?.medium.blocks = blocks;
        Ok(())
    }

    /// The next command that reports unit attentions ends with this one.
    pub fn attend(&mut self, place: u32, code: u8, qualifier: u8) -> Result<()> {
        self.device(place)?.attention = Some(cdb::unit_attention(code, qualifier));
        Ok(())
    }

    /// Stops serving. What the kernel still waits for is left to the next handler.
    pub fn close(&mut self, uring: &mut Uring, place: u32) -> Result<()> {
        let device = self.device(place)?;
        uring.cancel_uio(device.token);
        device.ring = None;
        device.leave_commands();
        self.drop_if_over(place as usize);
        Ok(())
    }

    fn drop_if_over(&mut self, place: usize) {
        if self.table[place].as_ref().is_some_and(Device::is_over) {
            self.table[place] = None;
        }
    }

    /// From now on nothing is answered any more: the next handler finds it all in the ring.
    pub fn leave(&mut self) {
        for device in self.table.iter_mut().flatten() {
            device.leaving = true;
        }
    }

    pub fn needs_attention(&self) -> bool {
        !self.asked.is_empty() || !self.news.is_empty() || !self.scattered.is_empty()
    }

    pub fn next_news(&mut self) -> Option<News> {
        self.news.pop()
    }

    pub fn next_scattered(&mut self) -> Option<Scattered> {
        self.scattered.pop()
    }

    /// The next command that the ring does not know: its tag, device, CDB and how many bytes of data it has.
    pub fn next_asked(&mut self) -> Option<(u32, u32, [u8; 16], u32)> {
        while let Some(tag) = self.asked.pop() {
            let (place, slot) = self.of(tag);
            if let Some(slot) = self.table[place].as_ref().map(|device| &device.slots[slot])
                && slot.state == State::Asked
            {
                return Some((tag, place as u32, slot.cdb, slot.bytes));
            }
        }
        None
    }

    /// The first `bytes` bytes of an asked command's data.
    pub fn asked_data(&self, tag: u32, bytes: u32) -> Vec<u8> {
        let (place, slot) = self.of(tag);
        let Some(device) = self.table.get(place).and_then(Option::as_ref) else { return Vec::new() };
        let (Some(ring), slot) = (device.ring.as_ref(), &device.slots[slot]) else { return Vec::new() };
        let mut data = vec![0; bytes.min(slot.bytes) as usize];
        if slot.state == State::Asked {
            commands::gather(ring, &slot.areas, 0, &mut data);
        }
        data
    }

    /// Answers an asked command; what is no longer asked (its device is gone, its ring was reset) is left alone.
    pub fn answer_asked(&mut self, tag: u32, status: u8, sense: &[u8], data: Option<&[u8]>) {
        if !self.has(tag) {
            return;
        }
        let (place, number) = self.of(tag);
        let Some(device) = self.table[place].as_mut() else { return };
        let slot = &device.slots[number];
        let Some(ring) = device.ring.as_mut().filter(|_| slot.state == State::Asked) else { return };
        let read = data.map(|data| {
            let bytes = data.len().min(slot.bytes as usize);
            commands::scatter(ring, &slot.areas, 0, &data[..bytes]);
            if bytes == 0 {
                commands::clear(ring, &slot.areas);
            }
            bytes as u32
        });
        if !device.leaving {
            ring.answer(slot.id, status, sense, read);
            ring.tell();
        }
        free(device, number);
        self.drop_if_over(place);
    }

    // ---- From the kernel ----

    /// uio has told of something; or (negative) the device is gone.
    pub fn arrived(
        &mut self,
        uring: &mut Uring,
        memory: &CoreMemory,
        control: u32,
        token: u32,
        gone: bool,
    ) -> Result<()> {
        let of = |device: &Option<Device>| device.as_ref().is_some_and(|device| device.token == token);
        let Some(place) = self.table.iter().position(of) else { return Ok(()) };
        let Some(ring) = self.table[place].as_ref().and_then(|device| device.ring.as_ref()) else { return Ok(()) };
        if gone {
            self.news.push(News::Ended(place as u32));
            return Ok(());
        }
        ring.take_event();
        uring.poll_uio(ring.fd(), token);
        self.scan(memory, control, place)
    }

    /// Takes what the kernel has put into the rings since, whether it has told of it or not.
    pub fn scan_all(&mut self, memory: &CoreMemory, control: u32) -> Result<()> {
        for place in 0..self.table.len() {
            if self.table[place].as_ref().and_then(|device| device.ring.as_ref()).is_some_and(TcmuRing::has_more) {
                self.scan(memory, control, place)?;
            }
        }
        Ok(())
    }

    fn scan(&mut self, memory: &CoreMemory, control: u32, place: usize) -> Result<()> {
        self.begin_anew_if_reset(place);
        loop {
            let Some(device) = self.table[place].as_mut().filter(|device| !device.leaving) else { return Ok(()) };
            let Some(ring) = device.ring.as_mut() else { return Ok(()) };
            match ring.take() {
                Entry::Command(at) => {
                    let Some(number) = device.free.pop() else {
                        ring.put_back(at);
                        break;
                    };
                    let slot = &mut device.slots[usize::from(number)];
                    slot.id = ring.command_id(at);
                    slot.cdb = ring.cdb(at);
                    let bytes = ring.areas(at, &mut slot.areas);
                    slot.bytes = bytes.unwrap_or(0);
                    let attention = device.attention.take_if(|_| cdb::reports_attention(slot.cdb[0]));
                    let begun = match (attention, bytes) {
                        (Some(sense), _) => cdb::Parsed::Refused(sense),
                        (None, Some(_)) => cdb::parse(&slot.cdb, device.medium),
                        (None, None) => cdb::Parsed::Refused(cdb::INVALID_FIELD),
                    };
                    self.begin(memory, control, place, usize::from(number), begun)?;
                }
                Entry::Tmr(kind) if RESETS.contains(&kind) => self.news.push(News::Reset(place as u32)),
                Entry::Tmr(_) => {}
                Entry::Nothing => break,
                Entry::Broken => {
                    self.news.push(News::Ended(place as u32));
                    break;
                }
            }
        }
        if let Some(ring) = self.table[place].as_mut().and_then(|device| device.ring.as_mut()) {
            ring.tell();
        }
        Ok(())
    }

    /// Somebody has reset the ring: the kernel has answered everything by itself.
    fn begin_anew_if_reset(&mut self, place: usize) {
        let Some(device) = self.table[place].as_mut() else { return };
        let Some(ring) = device.ring.as_mut().filter(|ring| ring.was_reset()) else { return };
        ring.resume();
        device.leave_commands();
    }
}

fn free(device: &mut Device, number: usize) {
    device.slots[number].state = State::Free;
    device.free.push(number as u8);
}
