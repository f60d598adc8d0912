//! One device as the driver sees it: its file, the descriptors of its requests, its commands.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::error::{Result, errno, system};
use crate::memory::CoreMemory;
use crate::ring::uring::Uring;

/// Largest depth of a queue.
pub const TAGS_PER_DEVICE: u32 = 128;
pub const SECTOR_SHIFT: u32 = 9;
/// Where the data of tag 0 lies in /dev/ublkcN, and the distance between tags.
pub const DATA_BASE: u64 = 0x8000_0000;
pub const DATA_SHIFT: u32 = 25;

pub const FETCH: u32 = 0xc010_7520;
pub const COMMIT_AND_FETCH: u32 = 0xc010_7521;
pub const GET_DATA: u32 = 0xc010_7522;
/// struct ublksrv_io_desc.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Descriptor {
    /// Bits 0 to 7 the operation, the others flags.
    pub what: u32,
    pub sectors: u32,
    pub start_sector: u64,
    pub address: u64,
}

pub const OPERATION_READ: u32 = 0;
pub const OPERATION_WRITE: u32 = 1;
pub const OPERATION_FLUSH: u32 = 2;
pub const OPERATION_DISCARD: u32 = 3;
pub const OPERATION_WRITE_ZEROES: u32 = 5;
pub const FLAG_FUA: u32 = 1 << 13;
pub const FLAG_NO_UNMAP: u32 = 1 << 15;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The driver has the command: it waits for a request.
    Waiting,
    /// A request is being carried out. So many bytes count when it is answered with success.
    Serving { bytes: u32 },
    /// The same, while the driver copies the data of a WRITE.
    Fetching { bytes: u32 },
    /// The driver will not give this tag another request.
    Ended,
}

pub struct Device {
    pub file: OwnedFd,
    pub descriptors: *const Descriptor,
    pub mapped_bytes: usize,
    pub client: u32,
    pub tags: Vec<State>,
    /// Tags that have not ended.
    pub alive: u32,
    /// Answers are withheld: the driver keeps the requests for the next server.
    pub leaving: bool,
    /// UBLK_F_USER_COPY.
    pub user_copy: bool,
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` and is not used afterwards.
        unsafe { libc::munmap(self.descriptors.cast_mut().cast(), self.mapped_bytes) };
    }
}

pub fn map(file: &OwnedFd, depth: u32) -> Result<(*const Descriptor, usize)> {
    // SAFETY: no pointers are passed.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let bytes = (depth as usize * size_of::<Descriptor>()).next_multiple_of(usize::try_from(page).unwrap_or(4096));
    // SAFETY: a new mapping, which the driver allows for reading only.
    let at = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ,
            libc::MAP_SHARED | libc::MAP_POPULATE,
            file.as_raw_fd(),
            0,
        )
    };
    if at == libc::MAP_FAILED {
        return Err(system("mapping the requests of a ublk device", errno()));
    }
    Ok((at.cast_const().cast(), bytes))
}

/// The 16 bytes of an I/O command: queue, tag, result, address.
pub fn command(tag: u32, result: i32, address: u64) -> [u8; 16] {
    let mut bytes = [0u8; 16];
    bytes[2..4].copy_from_slice(&(tag as u16).to_ne_bytes());
    bytes[4..8].copy_from_slice(&result.to_ne_bytes());
    bytes[8..16].copy_from_slice(&address.to_ne_bytes());
    bytes
}

/// Where the driver finds `bytes` bytes of the core's memory.
pub fn place_of(memory: &CoreMemory, address: u32, bytes: u32) -> Option<u64> {
    memory.range(address, bytes).map(|at| at.expose_provenance() as u64)
}

pub fn token(place: u32, tag: u32) -> u32 {
    (place << 16) | tag
}

/// Moves `bytes` bytes between the core's memory and a request's pages (UBLK_F_USER_COPY); returns 0 or an errno.
pub fn copy(
    device: &Device,
    memory: &CoreMemory,
    tag: u32,
    at: u32,
    address: u32,
    bytes: u32,
    to_request: bool,
) -> i32 {
    let Some(buffer) = memory.range(address, bytes) else { return libc::EFAULT };
    let fd = device.file.as_raw_fd();
    let from = DATA_BASE + (u64::from(tag) << DATA_SHIFT) + u64::from(at);
    let mut done: u32 = 0;
    while done < bytes {
        let offset = (from + u64::from(done)).cast_signed();
        let rest = (bytes - done) as usize;
        // SAFETY: `range` has checked that `bytes` bytes are there, and done <= bytes.
        let place = unsafe { buffer.add(done as usize) };
        // SAFETY: as above: `rest` bytes lie at `place`.
        let count = unsafe {
            if to_request {
                libc::pwrite(fd, place.cast(), rest, offset)
            } else {
                libc::pread(fd, place.cast(), rest, offset)
            }
        };
        match count {
            0 => return libc::EIO,
            1.. => done += count as u32,
            _ if errno() == libc::EINTR => {}
            _ => return errno(),
        }
    }
    0
}

/// What the block layer understands: an answer withheld is an error of the device.
pub fn errno_of(error: u32) -> i32 {
    match error.cast_signed() {
        libc::ECANCELED | libc::ENODEV => libc::EIO,
        error => error,
    }
}

/// Answers a request whose data, if it has any, the driver need not copy, and asks for the next one under its tag.
pub fn commit(device: &mut Device, uring: &mut Uring, memory: &CoreMemory, place: u32, tag: u32, result: i32) {
    // The driver refuses the answer to a READ without an address, even when that says that it failed.
    let nowhere = if device.user_copy { 0 } else { place_of(memory, 0, 1).unwrap_or(0) };
    commit_from(device, uring, place, tag, result, nowhere);
}

/// The same; the data of a READ lies at `from` until the command is submitted.
pub fn commit_from(device: &mut Device, uring: &mut Uring, place: u32, tag: u32, result: i32, from: u64) {
    if device.leaving {
        return;
    }
    device.tags[tag as usize] = State::Waiting;
    uring.ublk(device.file.as_raw_fd(), COMMIT_AND_FETCH, command(tag, result, from), token(place, tag));
}
