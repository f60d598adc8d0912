//! What a command needs of the door, step by step, and how its data gets there and back.

use crate::abi;
use crate::error::Result;
use crate::memory::CoreMemory;
use crate::ring::cdb::{self, Medium, Parsed, Range, Sense};
use crate::ring::door::Entry as DoorEntry;
use crate::ring::tcmu_ring::{Area, TcmuRing};

use super::{STATUS_CHECK_CONDITION, STATUS_GOOD, Slot, State, Tcmus};

/// Bytes of one request of UNMAP, and of WRITE SAME with zeroes.
const ZERO_BYTES_MAX: u64 = 256 << 20;
/// Layout of UNMAP's parameter list.
const LIST_HEAD: u32 = 8;
const LIST_ENTRY: u32 = 16;
/// As VPD page B0 says.
pub const UNMAP_RANGES_MAX: u32 = 256;
/// A pattern is one block.
const BLOCK_BYTES_MAX: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    /// `compare`: with the command's data.
    Verify {
        compare: bool,
    },
    Flush,
    Unmap {
        next: u32,
        count: u32,
    },
    Zero {
        keep: bool,
    },
    Same,
}

/// A command under way.
#[derive(Clone, Copy)]
pub struct Command {
    kind: Kind,
    /// What is left after the present request.
    lba: u64,
    blocks: u64,
    fua: bool,
    /// Whether what is written is read back afterwards, and compared.
    verify: Option<bool>,
    /// The whole range, for reading back.
    range: (u64, u64),
    /// The present request: its bytes, and where its data begins among the command's.
    pub part: u32,
    at: u32,
    differs: bool,
    /// The client whose request it is.
    pub client: u32,
}

impl Command {
    pub const NONE: Command = Command {
        kind: Kind::Flush,
        lba: 0,
        blocks: 0,
        fua: false,
        verify: None,
        range: (0, 0),
        part: 0,
        at: 0,
        differs: false,
        client: 0,
    };

    fn new(kind: Kind, Range { lba, blocks, fua }: Range) -> Command {
        Command { kind, lba, blocks, fua, range: (lba, blocks), ..Command::NONE }
    }
}

/// Calls `step` for each piece of `bytes` bytes from byte `from` on, with its address in the mapping and its offset among those
/// bytes, until it returns false. What lies behind the end of the areas is left out.
fn each(ring: &TcmuRing, areas: &[Area], from: u32, bytes: usize, mut step: impl FnMut(*mut u8, usize, usize) -> bool) {
    let (mut skip, mut done) = (from, 0usize);
    for area in areas {
        if done == bytes {
            return;
        }
        if skip >= area.bytes {
            skip -= area.bytes;
            continue;
        }
        let piece = Area { at: area.at + skip, bytes: (area.bytes - skip).min((bytes - done) as u32) };
        skip = 0;
        let Some(at) = ring.data(piece) else { return };
        if !step(at, done, piece.bytes as usize) {
            return;
        }
        done += piece.bytes as usize;
    }
}

/// Copies from the areas.
pub fn gather(ring: &TcmuRing, areas: &[Area], from: u32, data: &mut [u8]) {
    let to = data.as_mut_ptr();
    // SAFETY: `each` stays within `data.len()` bytes, and its pieces lie in the mapping.
    each(ring, areas, from, data.len(), |at, done, bytes| unsafe {
        std::ptr::copy_nonoverlapping(at, to.add(done), bytes);
        true
    });
}

/// Copies to the areas.
pub fn scatter(ring: &TcmuRing, areas: &[Area], to: u32, data: &[u8]) {
    let from = data.as_ptr();
    // SAFETY: as in `gather`.
    each(ring, areas, to, data.len(), |at, done, bytes| unsafe {
        std::ptr::copy_nonoverlapping(from.add(done), at, bytes);
        true
    });
}

/// Nothing was read: what other commands left in the areas is no answer.
pub fn clear(ring: &TcmuRing, areas: &[Area]) {
    // SAFETY: the pieces lie in the mapping.
    each(ring, areas, 0, usize::MAX >> 1, |at, _, bytes| unsafe {
        std::ptr::write_bytes(at, 0, bytes);
        true
    });
}

/// Whether the areas have these bytes.
fn equals(ring: &TcmuRing, areas: &[Area], from: u32, data: *const u8, bytes: u32) -> bool {
    let (mut same, mut seen) = (true, 0usize);
    each(ring, areas, from, bytes as usize, |at, done, length| {
        // SAFETY: the pieces lie in the mapping; `data` has `bytes` bytes.
        let (a, b) =
            unsafe { (std::slice::from_raw_parts(at, length), std::slice::from_raw_parts(data.add(done), length)) };
        same = a == b;
        seen = done + length;
        same
    });
    same && seen == bytes as usize
}

impl Slot {
    /// Fills the core's buffer for a WRITE. Returns whether it is filled.
    pub fn fill(&self, ring: &TcmuRing, memory: &CoreMemory, address: u32, bytes: u32, medium: Medium) -> bool {
        let Some(buffer) = memory.range(address, bytes) else { return false };
        // SAFETY: `range` has checked that `bytes` bytes are there, and nobody else has them now.
        let data = unsafe { std::slice::from_raw_parts_mut(buffer, bytes as usize) };
        if self.command.kind != Kind::Same {
            gather(ring, &self.areas, self.command.at, data);
            return true;
        }
        for block in data.chunks_mut(medium.block_bytes as usize) {
            gather(ring, &self.areas, 0, block);
        }
        true
    }

    /// Takes data that was read, of which `at` bytes are taken already. Returns whether it is there.
    pub fn receive(&mut self, ring: &TcmuRing, memory: &CoreMemory, at: u32, address: u32, bytes: u32) -> bool {
        let Some(buffer) = memory.range(address, bytes) else { return false };
        let place = self.command.at + at;
        match self.command.kind {
            Kind::Verify { compare: true } => {
                self.command.differs |= !equals(ring, &self.areas, place, buffer, bytes);
            }
            Kind::Verify { compare: false } => {}
            // SAFETY: `range` has checked that `bytes` bytes are there.
            _ => scatter(ring, &self.areas, place, unsafe { std::slice::from_raw_parts(buffer, bytes as usize) }),
        }
        true
    }

    /// How much was read, where the initiator has room for more.
    pub fn read_bytes(&self, ring: &TcmuRing) -> Option<u32> {
        let Command { kind: Kind::Read, part, .. } = self.command else { return None };
        if part == 0 {
            clear(ring, &self.areas);
        }
        (part < self.bytes).then_some(part)
    }

    /// A range of UNMAP's parameter list.
    fn listed(&self, ring: &TcmuRing, index: u32) -> (u64, u64) {
        let mut entry = [0u8; LIST_ENTRY as usize];
        gather(ring, &self.areas, LIST_HEAD + index * LIST_ENTRY, &mut entry);
        let mut lba = [0u8; 8];
        lba.copy_from_slice(&entry[..8]);
        (u64::from_be_bytes(lba), u64::from(u32::from_be_bytes([entry[8], entry[9], entry[10], entry[11]])))
    }

    fn unmap(&self, ring: &TcmuRing, list_bytes: u32, medium: Medium) -> std::result::Result<Command, Sense> {
        if list_bytes == 0 {
            return Ok(Command::new(Kind::Unmap { next: 0, count: 0 }, Range { lba: 0, blocks: 0, fua: false }));
        }
        if list_bytes < LIST_HEAD || self.bytes < list_bytes {
            return Err(cdb::LIST_LENGTH);
        }
        let mut head = [0u8; LIST_HEAD as usize];
        gather(ring, &self.areas, 0, &mut head);
        let told = u32::from(u16::from_be_bytes([head[2], head[3]]));
        let count = told.min(list_bytes - LIST_HEAD) / LIST_ENTRY;
        if count > UNMAP_RANGES_MAX {
            return Err(Sense(0x05, 0x26, 0x00));
        }
        for index in 0..count {
            let (lba, blocks) = self.listed(ring, index);
            medium.refusal(lba, blocks).map_or(Ok(()), Err)?;
        }
        Ok(Command::new(Kind::Unmap { next: 0, count }, Range { lba: 0, blocks: 0, fua: false }))
    }

    fn same(
        &self,
        ring: &TcmuRing,
        range: Range,
        unmap: bool,
        no_data: bool,
        medium: Medium,
    ) -> std::result::Result<Command, Sense> {
        let bytes = medium.block_bytes as usize;
        if no_data {
            return Ok(Command::new(Kind::Zero { keep: !unmap }, range));
        }
        if self.bytes as usize != bytes || bytes > BLOCK_BYTES_MAX {
            return Err(cdb::INVALID_FIELD);
        }
        let mut pattern = [0u8; BLOCK_BYTES_MAX];
        gather(ring, &self.areas, 0, &mut pattern[..bytes]);
        let is_zero = pattern[..bytes].iter().all(|&byte| byte == 0);
        Ok(Command::new(if is_zero { Kind::Zero { keep: !unmap } } else { Kind::Same }, range))
    }

    fn command_of(&self, ring: &TcmuRing, parsed: Parsed, medium: Medium) -> std::result::Result<Command, Sense> {
        let bytes_of = |range: Range| range.blocks * u64::from(medium.block_bytes);
        let nothing = Range { lba: 0, blocks: 0, fua: false };
        match parsed {
            Parsed::Read(range) => Ok(Command::new(Kind::Read, range)),
            Parsed::Write { range, .. } if u64::from(self.bytes) < bytes_of(range) => Err(cdb::INVALID_FIELD),
            Parsed::Write { range, verify } => Ok(Command { verify, ..Command::new(Kind::Write, range) }),
            Parsed::Verify { range, compare: true } if u64::from(self.bytes) < bytes_of(range) => {
                Err(cdb::INVALID_FIELD)
            }
            Parsed::Verify { range, compare } => Ok(Command::new(Kind::Verify { compare }, range)),
            Parsed::Flush => Ok(Command::new(Kind::Flush, Range { blocks: 1, ..nothing })),
            Parsed::Unmap(list_bytes) => self.unmap(ring, list_bytes, medium),
            Parsed::Same { range, unmap, no_data } => self.same(ring, range, unmap, no_data, medium),
            Parsed::Good | Parsed::Other => {
                clear(ring, &self.areas);
                Ok(Command::new(Kind::Unmap { next: 0, count: 0 }, nothing))
            }
            Parsed::Refused(sense) => Err(sense),
        }
    }

    /// The next request at the door; none when there is nothing more to do.
    fn step(&mut self, ring: &TcmuRing, medium: Medium) -> Option<DoorEntry> {
        let shift = medium.block_bytes.trailing_zeros();
        let command = &mut self.command;
        command.at += if matches!(command.kind, Kind::Verify { .. }) { command.part } else { 0 };
        if let Kind::Unmap { next, count } = command.kind {
            let (mut next, mut lba, mut blocks) = (next, command.lba, command.blocks);
            while blocks == 0 && next < count {
                (lba, blocks) = self.listed(ring, next);
                next += 1;
            }
            self.command.kind = Kind::Unmap { next, count };
            (self.command.lba, self.command.blocks) = (lba, blocks);
        } else if command.blocks == 0
            && let (Kind::Write, Some(compare)) = (command.kind, command.verify)
        {
            let (lba, blocks) = command.range;
            let client = command.client;
            *command = Command { client, ..Command::new(Kind::Verify { compare }, Range { lba, blocks, fua: true }) };
        }
        let command = &mut self.command;
        if command.blocks == 0 {
            return None;
        }
        let fua = if command.fua { abi::OPERATION_FLAG_FUA } else { 0 };
        let (operation, flags, bytes_max) = match command.kind {
            Kind::Flush => {
                command.blocks = 0;
                command.part = 0;
                return Some(DoorEntry { operation: abi::OPERATION_FLUSH, ..DoorEntry::default() });
            }
            Kind::Read | Kind::Verify { .. } => (abi::OPERATION_READ, fua, u64::from(abi::BLOCK_BYTES_MAX)),
            Kind::Write | Kind::Same => (abi::OPERATION_WRITE, fua, u64::from(abi::BLOCK_BYTES_MAX)),
            Kind::Unmap { .. } => (abi::OPERATION_TRIM, 0, ZERO_BYTES_MAX),
            Kind::Zero { keep } => {
                (abi::OPERATION_WRITE_ZEROES, if keep { abi::OPERATION_FLAG_NO_HOLE } else { 0 }, ZERO_BYTES_MAX)
            }
        };
        let blocks = command.blocks.min(bytes_max >> shift);
        let (offset, length) = (command.lba << shift, blocks << shift);
        command.lba += blocks;
        command.blocks -= blocks;
        command.part = length as u32;
        Some(DoorEntry { operation, flags, offset, length, ..DoorEntry::default() })
    }
}

impl Tcmus {
    /// Begins a command that was just taken.
    pub(super) fn begin(
        &mut self,
        memory: &CoreMemory,
        control: u32,
        place: usize,
        number: usize,
        parsed: Parsed,
    ) -> Result<()> {
        let Some(device) = self.table[place].as_mut() else { return Ok(()) };
        let Some(ring) = device.ring.as_ref() else { return Ok(()) };
        let slot = &mut device.slots[number];
        if let Parsed::Other = parsed {
            slot.state = State::Asked;
            let tag = self.tag(place as u32, number as u32);
            // In their order: the last one is taken first.
            self.asked.insert(0, tag);
            return Ok(());
        }
        match slot.command_of(ring, parsed, device.medium) {
            Ok(command) => {
                slot.command = Command { client: device.client, ..command };
                slot.state = State::Serving;
                self.proceed(memory, control, place, number)
            }
            Err(sense) => {
                slot.command = Command::NONE;
                slot.state = State::Serving;
                self.finish(place, number, STATUS_CHECK_CONDITION, Some(sense));
                Ok(())
            }
        }
    }

    /// The next request of a command, or its answer.
    pub(super) fn proceed(&mut self, memory: &CoreMemory, control: u32, place: usize, number: usize) -> Result<()> {
        let tag = self.tag(place as u32, number as u32);
        let Some(device) = self.table[place].as_mut() else { return Ok(()) };
        let (medium, client) = (device.medium, device.client);
        let slot = &mut device.slots[number];
        let next = match device.ring.as_ref().filter(|_| slot.state != State::Orphan && !device.leaving) {
            Some(ring) if !slot.command.differs => slot.step(ring, medium),
            _ => None,
        };
        let differs = slot.command.differs;
        if let Some(entry) = next {
            slot.command.client = client;
            return self.put(memory, control, DoorEntry { tag, client, ..entry });
        }
        let sense = differs.then_some(cdb::MISCOMPARE);
        self.finish(place, number, if differs { STATUS_CHECK_CONDITION } else { STATUS_GOOD }, sense);
        Ok(())
    }
}
