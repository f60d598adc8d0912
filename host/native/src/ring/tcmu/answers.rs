//! What the core's block door tells of the commands, and their answers to the kernel.

use crate::abi;
use crate::error::Result;
use crate::memory::CoreMemory;
use crate::ring::cdb::{self, Sense};
use crate::ring::door::{self, Entry as DoorEntry, Told};
use crate::ring::ublk::{Part, Scattered};

use super::{STATUS_ABORTED, STATUS_CHECK_CONDITION, STATUS_CONFLICT, STATUS_GOOD, State, Tcmus, free};

impl Tcmus {
    /// The core tells something of a request.
    pub fn told(&mut self, memory: &CoreMemory, control: u32, told: Told) -> Result<()> {
        let (place, number) = self.of(told.tag);
        let Some(device) = self.table[place].as_mut() else { return Ok(()) };
        let slot = &mut device.slots[number];
        let is_orphan = slot.state == State::Orphan;
        if !is_orphan && slot.state != State::Serving {
            return Ok(());
        }
        match told.kind {
            abi::BLOCK_FETCH => {
                let ring = device.ring.as_ref().filter(|_| !is_orphan);
                let filled = ring.is_some_and(|ring| slot.fill(ring, memory, told.address, told.length, device.medium));
                let operation = if filled { abi::BLOCK_FETCHED } else { abi::BLOCK_RELEASE };
                self.put(
                    memory,
                    control,
                    DoorEntry { operation, tag: told.tag, client: told.client, ..DoorEntry::default() },
                )?;
                Ok(())
            }
            abi::BLOCK_ANSWER if told.lent && !is_orphan && told.length < slot.command.part => {
                self.scattered.push(Scattered { tag: told.tag, bytes: slot.command.part });
                Ok(())
            }
            abi::BLOCK_ANSWER if told.lent => {
                if let Some(ring) = device.ring.as_ref().filter(|_| !is_orphan) {
                    slot.receive(ring, memory, 0, told.address, told.length);
                }
                self.release(memory, control, told.tag, told.client)?;
                self.proceed(memory, control, place, number)
            }
            abi::BLOCK_ANSWER | abi::BLOCK_REFUSED if told.error == 0 => self.proceed(memory, control, place, number),
            abi::BLOCK_ANSWER | abi::BLOCK_REFUSED => {
                let (status, sense) = failure(told);
                self.finish(place, number, status, sense);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn put(&mut self, memory: &CoreMemory, control: u32, entry: DoorEntry) -> Result<()> {
        self.entered = true;
        door::put(memory, control, entry)
    }

    pub(super) fn release(&mut self, memory: &CoreMemory, control: u32, tag: u32, client: u32) -> Result<()> {
        self.put(memory, control, DoorEntry { operation: abi::BLOCK_RELEASE, tag, client, ..DoorEntry::default() })
    }

    /// A part of a scattered READ.
    pub fn copy_part(&mut self, memory: &CoreMemory, part: Part) -> i32 {
        let Part { tag, at, address, bytes } = part;
        let (place, number) = self.of(tag);
        let Some(device) = self.table[place].as_mut() else { return libc::ENODEV };
        let slot = &mut device.slots[number];
        match device.ring.as_ref().filter(|_| slot.state == State::Serving) {
            Some(ring) if slot.receive(ring, memory, at, address, bytes) => 0,
            Some(_) => libc::EFAULT,
            None => libc::ENODEV,
        }
    }

    /// All parts were taken, or (errno) cannot be.
    pub fn end_scattered(&mut self, memory: &CoreMemory, control: u32, tag: u32, errno: i32) -> Result<()> {
        let (place, number) = self.of(tag);
        let Some(client) = self.table[place].as_ref().map(|device| device.slots[number].command.client) else {
            return Ok(());
        };
        self.release(memory, control, tag, client)?;
        if errno == 0 {
            return self.proceed(memory, control, place, number);
        }
        self.finish(place, number, STATUS_CHECK_CONDITION, Some(cdb::INTERNAL_FAILURE));
        Ok(())
    }

    /// Answers a command that the door had, or that it need not have.
    pub(super) fn finish(&mut self, place: usize, number: usize, status: u8, sense: Option<Sense>) {
        let Some(device) = self.table[place].as_mut() else { return };
        let slot = &device.slots[number];
        if let Some(ring) = device.ring.as_mut().filter(|_| slot.state != State::Orphan && !device.leaving) {
            let read = if status == STATUS_GOOD { slot.read_bytes(ring) } else { None };
            let fixed = sense.map(fixed);
            ring.answer(slot.id, status, fixed.as_ref().map_or(&[], |fixed| fixed.as_slice()), read);
        }
        free(device, number);
        self.drop_if_over(place);
    }

    /// Tells the kernel what was answered, and takes what it had no room for before.
    pub fn tell_all(&mut self, memory: &CoreMemory, control: u32) -> Result<()> {
        self.scan_all(memory, control)?;
        for device in self.table.iter_mut().flatten() {
            if let Some(ring) = device.ring.as_mut() {
                ring.tell();
            }
        }
        Ok(())
    }
}

/// Sense data in fixed format.
fn fixed(Sense(key, code, qualifier): Sense) -> [u8; 18] {
    let mut sense = [0u8; 18];
    sense[0] = 0x70;
    sense[2] = key;
    sense[7] = 10;
    sense[12] = code;
    sense[13] = qualifier;
    sense
}

/// Status and sense for an error of the door: the device's own sense where it gave one (the address of such a completion).
fn failure(told: Told) -> (u8, Option<Sense>) {
    let check = |sense| (STATUS_CHECK_CONDITION, Some(sense));
    if told.kind == abi::BLOCK_ANSWER && told.address != 0 {
        let [key, code, qualifier, _] = told.address.to_le_bytes();
        return check(Sense(key & 0x0f, code, qualifier));
    }
    match (told.error.cast_signed(), told.kind == abi::BLOCK_REFUSED) {
        (libc::EPERM, true) => check(cdb::WRITE_PROTECTED),
        (libc::EPERM, false) => (STATUS_CONFLICT, None),
        (libc::EINVAL, _) | (libc::ENOSPC, true) => check(cdb::OUT_OF_RANGE),
        (libc::ENOSPC, false) => check(cdb::NO_SPACE),
        (libc::EOVERFLOW | libc::EOPNOTSUPP, _) => check(cdb::INVALID_FIELD),
        (libc::ECANCELED, _) => (STATUS_ABORTED, None),
        (libc::EIO | libc::ENODEV | libc::ETIMEDOUT, _) => check(cdb::NOT_READY),
        _ => check(cdb::INTERNAL_FAILURE),
    }
}
