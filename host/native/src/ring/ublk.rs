//! The queues of ublk devices: their requests become entries of the core's block door, its completions their answers.
//!
//! A request's data goes between its own pages and the core's buffers in one copy, which the driver makes: of a READ
//! when it takes the answer, of a WRITE when it is asked for the data (UBLK_F_NEED_GET_DATA). Both are commands in the
//! ring, so that a turn's copies cost no system calls of their own. Devices made by earlier versions have
//! UBLK_F_USER_COPY instead: `pread` and `pwrite` on /dev/ublkcN. Each device has one queue, and a place of
//! TAGS_PER_DEVICE tags at the door.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::abi;
use crate::error::{Code, Result, errno, error, system};
use crate::memory::CoreMemory;
use crate::ring::door::{self, Entry, Told};
use crate::ring::uring::Uring;
use crate::ublk::open_device;

/// Largest depth of a queue.
pub const TAGS_PER_DEVICE: u32 = 128;
const SECTOR_SHIFT: u32 = 9;
/// Where the data of tag 0 lies in /dev/ublkcN, and the distance between tags.
const DATA_BASE: u64 = 0x8000_0000;
const DATA_SHIFT: u32 = 25;

const FETCH: u32 = 0xc010_7520;
const COMMIT_AND_FETCH: u32 = 0xc010_7521;
const GET_DATA: u32 = 0xc010_7522;
/// How long a buffer of the core stays lent after the answer if nothing else wakes the ring.
pub const RELEASE_NS_MAX: u64 = 1_000_000;

/// struct ublksrv_io_desc.
#[repr(C)]
#[derive(Clone, Copy)]
struct Descriptor {
    /// Bits 0 to 7 the operation, the others flags.
    what: u32,
    sectors: u32,
    start_sector: u64,
    address: u64,
}

const OPERATION_READ: u32 = 0;
const OPERATION_WRITE: u32 = 1;
const OPERATION_FLUSH: u32 = 2;
const OPERATION_DISCARD: u32 = 3;
const OPERATION_WRITE_ZEROES: u32 = 5;
const FLAG_FUA: u32 = 1 << 13;
const FLAG_NO_UNMAP: u32 = 1 << 15;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The driver has the command: it waits for a request.
    Waiting,
    /// A request is being carried out. So many bytes count when it is answered with success.
    Serving { bytes: u32 },
    /// The same, while the driver copies the data of a WRITE.
    Fetching { bytes: u32 },
    /// The driver will not give this tag another request.
    Ended,
}

struct Device {
    file: OwnedFd,
    descriptors: *const Descriptor,
    mapped_bytes: usize,
    client: u32,
    tags: Vec<State>,
    /// Tags that have not ended.
    alive: u32,
    /// Answers are withheld: the driver keeps the requests for the next server.
    leaving: bool,
    /// UBLK_F_USER_COPY.
    user_copy: bool,
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` and is not used afterwards.
        unsafe { libc::munmap(self.descriptors.cast_mut().cast(), self.mapped_bytes) };
    }
}

/// A part of a scattered READ: so many bytes of the core's memory belong at byte `at`.
pub struct Part {
    pub tag: u32,
    pub at: u32,
    pub address: u32,
    pub bytes: u32,
}

/// A READ whose data lies in several places: only the core knows where.
#[derive(Clone, Copy)]
pub struct Scattered {
    pub tag: u32,
    pub bytes: u32,
}

/// A buffer that the core lent for a READ, until the driver has taken the answer.
#[derive(Clone, Copy)]
struct Lent {
    tag: u32,
    client: u32,
}

/// The parts of a scattered READ, gathered.
struct Gathered {
    tag: u32,
    bytes: Vec<u8>,
}

#[derive(Default)]
pub struct Ublks {
    table: Vec<Option<Device>>,
    scattered: Vec<Scattered>,
    gathered: Vec<Gathered>,
    /// To be given back once the commands in the ring are submitted.
    lent: Vec<Lent>,
    /// Clients of devices that have ended.
    ended: Vec<u32>,
    /// Entries were written since the core ran.
    pub entered: bool,
    open: u32,
}

fn map(file: &OwnedFd, depth: u32) -> Result<(*const Descriptor, usize)> {
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
fn command(tag: u32, result: i32, address: u64) -> [u8; 16] {
    let mut bytes = [0u8; 16];
    bytes[2..4].copy_from_slice(&(tag as u16).to_ne_bytes());
    bytes[4..8].copy_from_slice(&result.to_ne_bytes());
    bytes[8..16].copy_from_slice(&address.to_ne_bytes());
    bytes
}

/// Where the driver finds `bytes` bytes of the core's memory.
fn place_of(memory: &CoreMemory, address: u32, bytes: u32) -> Option<u64> {
    memory.range(address, bytes).map(|at| at.expose_provenance() as u64)
}

fn token(place: u32, tag: u32) -> u32 {
    (place << 16) | tag
}

/// Moves `bytes` bytes between the core's memory and a request's pages (UBLK_F_USER_COPY); returns 0 or an errno.
fn copy(device: &Device, memory: &CoreMemory, tag: u32, at: u32, address: u32, bytes: u32, to_request: bool) -> i32 {
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

/// A device to be served: /dev/ublkc`index`, whose queue has `depth` places, for a client of the door.
pub struct Served {
    pub index: u32,
    pub depth: u32,
    pub client: u32,
    pub user_copy: bool,
}

impl Ublks {
    /// Serves a device. Returns its handle.
    pub fn add(&mut self, uring: &mut Uring, served: &Served, tag_limit: u32) -> Result<u32> {
        let &Served { index, depth, client, user_copy } = served;
        if !(1..=TAGS_PER_DEVICE).contains(&depth) {
            return Err(error(Code::Argument, format!("depth: {depth} is not from 1 to {TAGS_PER_DEVICE}")));
        }
        let places = tag_limit / TAGS_PER_DEVICE;
        let place = match self.table.iter().position(Option::is_none) {
            Some(place) => place as u32,
            None if (self.table.len() as u32) < places => {
                self.table.push(None);
                (self.table.len() - 1) as u32
            }
            None => return Err(error(Code::Limit, format!("{places} ublk devices are served already"))),
        };
        let file = open_device(index)?;
        let (descriptors, mapped_bytes) = map(&file, depth)?;
        let tags = vec![State::Waiting; depth as usize];
        for tag in 0..depth {
            uring.ublk(file.as_raw_fd(), FETCH, command(tag, 0, 0), token(place, tag));
        }
        self.open += 1;
        self.table[place as usize] =
            Some(Device { file, descriptors, mapped_bytes, client, tags, alive: depth, leaving: false, user_copy });
        Ok(place)
    }

    /// From now on requests are not answered any more: the driver hands them to the next server.
    pub fn leave(&mut self) {
        for device in self.table.iter_mut().flatten() {
            device.leaving = true;
        }
    }

    /// Something only the core's host can do: `scattered` or `ended`.
    pub fn needs_attention(&self) -> bool {
        !self.scattered.is_empty() || !self.ended.is_empty()
    }

    pub fn next_ended(&mut self) -> Option<u32> {
        self.ended.pop()
    }

    pub fn next_scattered(&mut self) -> Option<Scattered> {
        self.scattered.pop()
    }

    /// The driver has a request, or gives a tag up.
    pub fn arrived(
        &mut self,
        uring: &mut Uring,
        memory: &CoreMemory,
        control: u32,
        token: u32,
        result: i32,
    ) -> Result<()> {
        let (place, tag) = (token >> 16, token & 0xffff);
        let Some(device) = self.table.get_mut(place as usize).and_then(Option::as_mut) else { return Ok(()) };
        if result < 0 {
            let was = std::mem::replace(&mut device.tags[tag as usize], State::Ended);
            let gone = matches!(was, State::Fetching { .. })
                .then(|| Lent { tag: place * TAGS_PER_DEVICE + tag, client: device.client });
            device.alive -= 1;
            if device.alive == 0 {
                self.ended.push(device.client);
                self.table[place as usize] = None;
                self.open -= 1;
            }
            return self.give_up(memory, control, gone);
        }
        if let State::Fetching { bytes } = device.tags[tag as usize] {
            device.tags[tag as usize] = State::Serving { bytes };
            let entry = Entry {
                operation: abi::BLOCK_FETCHED,
                tag: place * TAGS_PER_DEVICE + tag,
                client: device.client,
                ..Entry::default()
            };
            self.entered = true;
            return door::put(memory, control, entry);
        }
        // SAFETY: the mapping holds a descriptor for each tag, and tag < depth. The driver wrote it before it completed the
        // command, and does not touch it until the answer.
        let asked = unsafe { device.descriptors.add(tag as usize).read_volatile() };
        let bytes = u64::from(asked.sectors) << SECTOR_SHIFT;
        let counted = matches!(asked.what & 0xff, OPERATION_READ | OPERATION_WRITE);
        device.tags[tag as usize] = State::Serving { bytes: if counted { bytes as u32 } else { 0 } };
        let fua = if asked.what & FLAG_FUA != 0 { abi::OPERATION_FLAG_FUA } else { 0 };
        let (operation, flags) = match asked.what & 0xff {
            OPERATION_READ => (abi::OPERATION_READ, 0),
            OPERATION_WRITE => (abi::OPERATION_WRITE, fua),
            OPERATION_FLUSH => (abi::OPERATION_FLUSH, 0),
            OPERATION_DISCARD => (abi::OPERATION_TRIM, 0),
            OPERATION_WRITE_ZEROES => {
                let whole = if asked.what & FLAG_NO_UNMAP != 0 { abi::OPERATION_FLAG_NO_HOLE } else { 0 };
                (abi::OPERATION_WRITE_ZEROES, fua | whole)
            }
            _ => {
                commit(device, uring, memory, place, tag, -libc::EOPNOTSUPP);
                return Ok(());
            }
        };
        let flush = operation == abi::OPERATION_FLUSH;
        let entry = Entry {
            operation,
            flags,
            tag: place * TAGS_PER_DEVICE + tag,
            client: device.client,
            offset: if flush { 0 } else { asked.start_sector << SECTOR_SHIFT },
            length: if flush { 0 } else { bytes },
        };
        self.entered = true;
        door::put(memory, control, entry)
    }

    /// The core tells something of a request.
    pub fn told(&mut self, uring: &mut Uring, memory: &CoreMemory, control: u32, told: Told) -> Result<()> {
        let (place, tag) = (told.tag / TAGS_PER_DEVICE, told.tag % TAGS_PER_DEVICE);
        // A device ends only when each of its requests was answered.
        let Some(device) = self.table.get_mut(place as usize).and_then(Option::as_mut) else { return Ok(()) };
        let Some(&State::Serving { bytes }) = device.tags.get(tag as usize) else { return Ok(()) };
        let lent = Lent { tag: told.tag, client: device.client };
        match told.kind {
            abi::BLOCK_FETCH if device.user_copy => {
                let errno = copy(device, memory, tag, 0, told.address, told.length, false);
                let operation = if errno == 0 { abi::BLOCK_FETCHED } else { abi::BLOCK_RELEASE };
                self.entered = true;
                door::put(memory, control, Entry { operation, tag: lent.tag, client: lent.client, ..Entry::default() })
            }
            abi::BLOCK_FETCH => match place_of(memory, told.address, told.length) {
                // The driver copies the whole request, whatever room there is.
                Some(address) if told.length == bytes => {
                    device.tags[tag as usize] = State::Fetching { bytes };
                    let asked = command(tag, 0, address);
                    uring.ublk(device.file.as_raw_fd(), GET_DATA, asked, token(place, tag));
                    Ok(())
                }
                _ => self.give_up(memory, control, Some(lent)),
            },
            abi::BLOCK_ANSWER if told.lent && told.length < bytes => {
                self.scattered.push(Scattered { tag: told.tag, bytes });
                Ok(())
            }
            abi::BLOCK_ANSWER if told.lent => {
                if device.user_copy {
                    let errno = copy(device, memory, tag, 0, told.address, bytes, true);
                    let result = if errno == 0 { bytes.cast_signed() } else { -errno };
                    commit(device, uring, memory, place, tag, result);
                } else {
                    match place_of(memory, told.address, bytes) {
                        Some(from) => commit_from(device, uring, place, tag, bytes.cast_signed(), from),
                        None => commit(device, uring, memory, place, tag, -libc::EFAULT),
                    }
                }
                self.lent.push(lent);
                Ok(())
            }
            abi::BLOCK_ANSWER | abi::BLOCK_REFUSED => {
                let result = if told.error == 0 { bytes.cast_signed() } else { -errno_of(told.error) };
                commit(device, uring, memory, place, tag, result);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A WRITE whose data cannot be had.
    fn give_up(&mut self, memory: &CoreMemory, control: u32, lent: Option<Lent>) -> Result<()> {
        let Some(Lent { tag, client }) = lent else { return Ok(()) };
        self.entered = true;
        door::put(memory, control, Entry { operation: abi::BLOCK_RELEASE, tag, client, ..Entry::default() })
    }

    /// Whether the core gets buffers back after the next submission.
    pub fn has_lent(&self) -> bool {
        !self.lent.is_empty()
    }

    /// The driver has taken everything that was submitted: the core gets its buffers back. This alone is no reason for a
    /// turn of the core's: it reads it before the tag's next request.
    pub fn submitted(&mut self, memory: &CoreMemory, control: u32) -> Result<()> {
        for &Lent { tag, client } in &self.lent {
            door::put(memory, control, Entry { operation: abi::BLOCK_RELEASE, tag, client, ..Entry::default() })?;
        }
        self.lent.clear();
        self.gathered.clear();
        Ok(())
    }

    /// A part of a scattered READ. Returns 0 or an errno.
    pub fn copy_part(&mut self, memory: &CoreMemory, part: Part) -> i32 {
        let Part { tag, at, address, bytes } = part;
        let (place, number) = (tag / TAGS_PER_DEVICE, tag % TAGS_PER_DEVICE);
        let Some(device) = self.table.get(place as usize).and_then(Option::as_ref) else { return libc::ENODEV };
        if device.user_copy {
            return copy(device, memory, number, at, address, bytes, true);
        }
        let Some(from) = memory.range(address, bytes) else { return libc::EFAULT };
        if self.gathered.last().is_none_or(|last| last.tag != tag) {
            self.gathered.push(Gathered { tag, bytes: Vec::new() });
        }
        let Some(Gathered { bytes: to, .. }) = self.gathered.last_mut() else { return libc::EFAULT };
        if to.len() != at as usize {
            return libc::EINVAL;
        }
        // SAFETY: `range` has checked that `bytes` bytes are there, and nothing else runs meanwhile.
        to.extend_from_slice(unsafe { std::slice::from_raw_parts(from, bytes as usize) });
        0
    }

    /// All parts of a scattered READ were copied, or (errno) cannot be.
    pub fn end_scattered(&mut self, uring: &mut Uring, memory: &CoreMemory, tag: u32, errno: i32) {
        let (place, number) = (tag / TAGS_PER_DEVICE, tag % TAGS_PER_DEVICE);
        let Some(device) = self.table.get_mut(place as usize).and_then(Option::as_mut) else { return };
        let Some(&State::Serving { bytes }) = device.tags.get(number as usize) else { return };
        self.lent.push(Lent { tag, client: device.client });
        let result = if errno == 0 { bytes.cast_signed() } else { -errno };
        match self.gathered.last() {
            _ if device.user_copy || errno != 0 => commit(device, uring, memory, place, number, result),
            Some(Gathered { tag: gathered, bytes: from }) if *gathered == tag && from.len() == bytes as usize => {
                let from = from.as_ptr().expose_provenance() as u64;
                commit_from(device, uring, place, number, result, from);
            }
            _ => commit(device, uring, memory, place, number, -libc::EIO),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// Places in use, counted from the first tag.
    pub fn places(&self) -> u32 {
        self.table.len() as u32
    }
}

/// What the block layer understands: an answer withheld is an error of the device.
fn errno_of(error: u32) -> i32 {
    match error.cast_signed() {
        libc::ECANCELED | libc::ENODEV => libc::EIO,
        error => error,
    }
}

/// Answers a request whose data, if it has any, the driver need not copy, and asks for the next one under its tag.
fn commit(device: &mut Device, uring: &mut Uring, memory: &CoreMemory, place: u32, tag: u32, result: i32) {
    // The driver refuses the answer to a READ without an address, even when that says that it failed.
    let nowhere = if device.user_copy { 0 } else { place_of(memory, 0, 1).unwrap_or(0) };
    commit_from(device, uring, place, tag, result, nowhere);
}

/// The same; the data of a READ lies at `from` until the command is submitted.
fn commit_from(device: &mut Device, uring: &mut Uring, place: u32, tag: u32, result: i32, from: u64) {
    if device.leaving {
        return;
    }
    device.tags[tag as usize] = State::Waiting;
    uring.ublk(device.file.as_raw_fd(), COMMIT_AND_FETCH, command(tag, result, from), token(place, tag));
}
