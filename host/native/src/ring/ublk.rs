//! The queues of ublk devices: their requests become entries of the core's block door, its completions their answers.
//!
//! A request's data goes between its own pages and the core's buffers in one copy, which the driver makes: of a READ
//! when it takes the answer, of a WRITE when it is asked for the data (UBLK_F_NEED_GET_DATA). Both are commands in the
//! ring, so that a turn's copies cost no system calls of their own. Devices made by earlier versions have
//! UBLK_F_USER_COPY instead: `pread` and `pwrite` on /dev/ublkcN. Each device has one queue, and a place of
//! TAGS_PER_DEVICE tags at the door.

mod queue;
mod scattered;

use std::os::fd::AsRawFd;

use crate::abi;
use crate::error::{Code, Result, error};
use crate::memory::CoreMemory;
use crate::ring::door::{self, Entry, Told};
use crate::ring::uring::Uring;
use crate::ublk::open_device;

pub use queue::TAGS_PER_DEVICE;
use queue::*;
use scattered::Gathered;
pub use scattered::{Part, Scattered};

/// How long a buffer of the core stays lent after the answer if nothing else wakes the ring.
pub const RELEASE_NS_MAX: u64 = 1_000_000;

/// A device to be served: /dev/ublkc`index`, whose queue has `depth` places, for a client of the door.
pub struct Served {
    pub index: u32,
    pub depth: u32,
    pub client: u32,
    pub user_copy: bool,
}

/// A buffer that the core lent for a READ, until the driver has taken the answer.
#[derive(Clone, Copy)]
struct Lent {
    tag: u32,
    client: u32,
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

    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// Places in use, counted from the first tag.
    pub fn places(&self) -> u32 {
        self.table.len() as u32
    }
}
