//! The memory that target_core_user shares with its handler (linux/target_core_user.h): a mailbox, a ring of commands, and
//! an area for their data. The kernel writes the commands; what they contain comes from whoever may open the device.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Code, Result, errno, error, system};

const VERSION: u16 = 2;
const FLAG_OUT_OF_ORDER: u16 = 1;
/// Where the mailbox has what.
const FLAGS: u32 = 2;
const RING_OFFSET: u32 = 4;
const RING_BYTES: u32 = 8;
const HEAD: u32 = 12;
const TAIL: u32 = 64;
const MAILBOX_BYTES: usize = 128;

/// Where an entry has what.
const COMMAND_ID: u32 = 4;
const USER_FLAGS: u32 = 7;
const AREA_COUNT: u32 = 8;
const CDB_OFFSET: u32 = 24;
const AREAS: u32 = 48;
const TMR_TYPE: u32 = 8;
const STATUS: u32 = 8;
const READ_LENGTH: u32 = 12;
const SENSE: u32 = 16;
const ENTRY_BYTES_MIN: u32 = 8;
const ENTRY_BYTES_ANSWER: u32 = 112;
/// An answer says how many bytes were read.
const FLAG_READ_LENGTH: u8 = 2;

const OP_MASK: u32 = 7;
const OP_PAD: u32 = 0;
const OP_COMMAND: u32 = 1;
const OP_TMR: u32 = 2;

pub const SENSE_BYTES: usize = 96;

/// A piece of the data area: offset in the mapping, and bytes.
#[derive(Clone, Copy)]
pub struct Area {
    pub at: u32,
    pub bytes: u32,
}

/// What the ring has next.
pub enum Entry {
    /// Where it is.
    Command(u32),
    /// A task management request of this type.
    Tmr(u8),
    Nothing,
    /// It makes no sense: nothing more is taken.
    Broken,
}

pub struct TcmuRing {
    /// For events and for telling the kernel; a test has a socket here.
    events: OwnedFd,
    base: *mut u8,
    bytes: usize,
    ring_offset: u32,
    ring_bytes: u32,
    /// The entry to take next, and the one that is answered next.
    taken: u32,
    tail: u32,
    dirty: bool,
}

impl Drop for TcmuRing {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` and is not used afterwards.
        unsafe { libc::munmap(self.base.cast(), self.bytes) };
    }
}

fn broken(what: &str) -> crate::error::Error {
    error(Code::Argument, format!("tcmu: {what}"))
}

impl TcmuRing {
    /// Opens /dev/uioN, whose mapping has `bytes` bytes.
    pub fn open(device: &str, bytes: u32) -> Result<Self> {
        let path = std::ffi::CString::new(device).map_err(|_| broken("the device's name has a zero byte"))?;
        // SAFETY: `path` is a C string that lives over the call.
        let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC) };
        if fd < 0 {
            return Err(system(device, errno()));
        }
        // SAFETY: `fd` was just opened and nobody else owns it.
        let events = unsafe { OwnedFd::from_raw_fd(fd) };
        let mapped = events.as_raw_fd();
        Self::map(events, mapped, bytes)
    }

    /// Takes ownership of `events`, and maps `mapped`, which it does not keep.
    pub fn map(events: OwnedFd, mapped: i32, bytes: u32) -> Result<Self> {
        let bytes = bytes as usize;
        if bytes < MAILBOX_BYTES {
            return Err(broken("its mapping is too short"));
        }
        // SAFETY: a new mapping of a file; its length is checked by the kernel.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, mapped, 0)
        };
        if at == libc::MAP_FAILED {
            return Err(system("mapping the ring of a TCMU device", errno()));
        }
        let mut ring =
            TcmuRing { events, base: at.cast(), bytes, ring_offset: 0, ring_bytes: 0, taken: 0, tail: 0, dirty: false };
        ring.ring_offset = ring.u32(RING_OFFSET);
        ring.ring_bytes = ring.u32(RING_BYTES);
        let (version, flags) = (ring.u16(0), ring.u16(FLAGS));
        if version != VERSION || flags & FLAG_OUT_OF_ORDER == 0 {
            return Err(broken(&format!("the kernel's ring has version {version}, flags {flags}; {VERSION} is known")));
        }
        let end = u64::from(ring.ring_offset) + u64::from(ring.ring_bytes);
        if ring.ring_bytes == 0 || (ring.ring_bytes | ring.ring_offset) & 7 != 0 || end > bytes as u64 {
            return Err(broken("its ring of commands does not lie in its mapping"));
        }
        ring.tail = ring.index(TAIL).load(Ordering::Acquire) % ring.ring_bytes;
        ring.taken = ring.tail;
        Ok(ring)
    }

    pub fn fd(&self) -> i32 {
        self.events.as_raw_fd()
    }

    fn range(&self, at: u32, bytes: usize) -> Option<*mut u8> {
        let end = (at as usize).checked_add(bytes)?;
        // SAFETY: at <= end <= self.bytes, so the result lies in the mapping.
        (end <= self.bytes).then(|| unsafe { self.base.add(at as usize) })
    }

    /// Bytes outside of the mapping read as 0.
    fn load<const N: usize>(&self, at: u32) -> [u8; N] {
        let mut value = [0u8; N];
        if let Some(from) = self.range(at, N) {
            // SAFETY: `range` has checked that N bytes are there.
            unsafe { std::ptr::copy_nonoverlapping(from, value.as_mut_ptr(), N) };
        }
        value
    }

    fn store(&self, at: u32, value: &[u8]) {
        if let Some(to) = self.range(at, value.len()) {
            // SAFETY: `range` has checked that there is room.
            unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), to, value.len()) };
        }
    }

    fn u16(&self, at: u32) -> u16 {
        u16::from_ne_bytes(self.load(at))
    }
    fn u32(&self, at: u32) -> u32 {
        u32::from_ne_bytes(self.load(at))
    }
    fn u64(&self, at: u32) -> u64 {
        u64::from_ne_bytes(self.load(at))
    }

    /// One of the mailbox's two indices.
    fn index(&self, at: u32) -> &AtomicU32 {
        // SAFETY: the mapping is page-aligned and longer than the mailbox, and `at` is one of two aligned constants in it.
        unsafe { AtomicU32::from_ptr(self.base.add(at as usize).cast()) }
    }

    fn next(&self, at: u32, bytes: u32) -> u32 {
        (at + bytes) % self.ring_bytes
    }

    /// Length and kind of the entry at `at`; none when it makes no sense.
    fn entry(&self, at: u32) -> Option<(u32, u32)> {
        let what = self.u32(self.ring_offset + at);
        let (bytes, op) = (what & !OP_MASK, what & OP_MASK);
        let least = if op == OP_COMMAND { ENTRY_BYTES_ANSWER } else { ENTRY_BYTES_MIN };
        (bytes >= least && bytes <= self.ring_bytes - at && op <= OP_TMR).then_some((bytes, op))
    }

    /// Whether the kernel has put something into the ring; it need not have told of it yet.
    pub fn has_more(&self) -> bool {
        self.index(HEAD).load(Ordering::Acquire) != self.taken
    }

    /// Whether somebody else has reset the ring: nothing that was taken can be answered any more.
    pub fn was_reset(&self) -> bool {
        let (tail, head) = (self.index(TAIL).load(Ordering::Acquire), self.index(HEAD).load(Ordering::Acquire));
        // What was taken lies between the two.
        let from_tail = |at: u32| (at % self.ring_bytes + self.ring_bytes - self.tail) % self.ring_bytes;
        tail != self.tail || from_tail(head) < from_tail(self.taken)
    }

    /// Begins anew where the kernel does.
    pub fn resume(&mut self) {
        self.tail = self.index(TAIL).load(Ordering::Acquire) % self.ring_bytes;
        self.taken = self.tail;
        self.dirty = false;
    }

    /// Forgets the event that a poll has reported.
    pub fn take_event(&self) {
        let mut count = 0u32;
        // SAFETY: `count` has the four bytes that uio returns.
        let _ = unsafe { libc::read(self.fd(), (&raw mut count).cast(), 4) };
    }

    /// Takes the next entry. A command stays in the ring until it is answered; its contents do not.
    pub fn take(&mut self) -> Entry {
        loop {
            let head = self.index(HEAD).load(Ordering::Acquire);
            if head == self.taken {
                return Entry::Nothing;
            }
            let at = self.taken;
            let Some((bytes, op)) = self.entry(at).filter(|_| head < self.ring_bytes) else { return Entry::Broken };
            self.taken = self.next(at, bytes);
            match op {
                OP_COMMAND => return Entry::Command(at),
                OP_TMR => return Entry::Tmr(self.load::<1>(self.ring_offset + at + TMR_TYPE)[0]),
                _ => {}
            }
        }
    }

    /// Puts back the command that was taken last.
    pub fn put_back(&mut self, at: u32) {
        self.taken = at;
    }

    pub fn command_id(&self, at: u32) -> u16 {
        self.u16(self.ring_offset + at + COMMAND_ID)
    }

    /// The first 16 bytes of a command's CDB; what lies behind its end is 0.
    pub fn cdb(&self, at: u32) -> [u8; 16] {
        let offset = u32::try_from(self.u64(self.ring_offset + at + CDB_OFFSET)).unwrap_or(u32::MAX);
        let mut cdb = self.load::<16>(offset);
        let bytes = crate::ring::cdb::length_of(cdb[0]);
        if bytes != 0 {
            cdb[bytes..].fill(0);
        }
        cdb
    }

    /// Stores where a command's data lies; returns the bytes, or none when it lies outside or in more places than `areas` has room
    /// for.
    pub fn areas(&self, at: u32, areas: &mut Vec<Area>) -> Option<u32> {
        areas.clear();
        let count = self.u32(self.ring_offset + at + AREA_COUNT);
        if count as usize > areas.capacity() {
            return None;
        }
        let mut total = 0u32;
        for index in 0..count {
            let place = self.ring_offset + at + AREAS + index * 16;
            let (from, bytes) = (u32::try_from(self.u64(place)).ok()?, u32::try_from(self.u64(place + 8)).ok()?);
            self.range(from, bytes as usize)?;
            total = total.checked_add(bytes)?;
            areas.push(Area { at: from, bytes });
        }
        Some(total)
    }

    /// Address of a piece of the data area; none when it lies outside.
    pub fn data(&self, area: Area) -> Option<*mut u8> {
        self.range(area.at, area.bytes as usize)
    }

    /// Moves the tail over entries that need no answer, never beyond what was taken.
    fn skip(&mut self) {
        while self.tail != self.taken {
            match self.entry(self.tail) {
                Some((bytes, OP_PAD | OP_TMR)) => self.advance(bytes),
                _ => return,
            }
        }
    }

    fn advance(&mut self, bytes: u32) {
        self.tail = self.next(self.tail, bytes);
        self.index(TAIL).store(self.tail, Ordering::Release);
        self.dirty = true;
    }

    /// Answers one of the commands that were taken: in the oldest place there is, which need not be its own.
    pub fn answer(&mut self, id: u16, status: u8, sense: &[u8], read_bytes: Option<u32>) {
        self.skip();
        let Some((bytes, OP_COMMAND)) = self.entry(self.tail).filter(|_| self.tail != self.taken) else { return };
        let at = self.ring_offset + self.tail;
        self.store(at + COMMAND_ID, &id.to_ne_bytes());
        self.store(at + USER_FLAGS, &[if read_bytes.is_some() { FLAG_READ_LENGTH } else { 0 }]);
        self.store(at + STATUS, &[status, 0, 0, 0]);
        self.store(at + READ_LENGTH, &read_bytes.unwrap_or(0).to_ne_bytes());
        let mut all = [0u8; SENSE_BYTES];
        let length = sense.len().min(SENSE_BYTES);
        all[..length].copy_from_slice(&sense[..length]);
        self.store(at + SENSE, &all);
        self.advance(bytes);
        self.skip();
    }

    /// Tells the kernel of the answers since the last time.
    pub fn tell(&mut self) {
        self.skip();
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        let one = 1u32;
        // SAFETY: `one` has the four bytes that uio takes.
        let _ = unsafe { libc::write(self.fd(), (&raw const one).cast(), 4) };
    }
}
