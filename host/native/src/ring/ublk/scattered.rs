//! READs whose data lies in several places: the core's host finds them, here they become one.

use crate::memory::CoreMemory;
use crate::ring::ublk::queue::{State, TAGS_PER_DEVICE, commit, commit_from, copy};
use crate::ring::ublk::{Lent, Ublks};
use crate::ring::uring::Uring;

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

/// The parts of a scattered READ, gathered.
pub struct Gathered {
    tag: u32,
    bytes: Vec<u8>,
}

impl Ublks {
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
}
