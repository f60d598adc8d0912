//! The block door's rings in the core's memory: entries are written here, completions taken.

use crate::abi;
use crate::error::Result;
use crate::memory::CoreMemory;
use crate::ring::queues::view;

/// What the core tells about a request, copied out of its memory.
#[derive(Clone, Copy)]
pub struct Told {
    pub tag: u32,
    pub client: u32,
    pub error: u32,
    pub kind: u32,
    pub lent: bool,
    pub address: u32,
    pub length: u32,
}

/// One entry for the core.
#[derive(Clone, Copy, Default)]
pub struct Entry {
    pub operation: u32,
    pub flags: u32,
    pub tag: u32,
    pub client: u32,
    pub offset: u64,
    pub length: u64,
}

/// Whether entries wait for the core.
pub fn entries_wait(memory: &CoreMemory, control: u32) -> bool {
    let at = control + abi::CONTROL_BLOCK_ENTRIES;
    memory.load_u32(at + abi::RING_HEAD) != memory.load_u32(at + abi::RING_TAIL)
}

/// Writes an entry. The ring has room for two of each tag, and a tag never has more.
pub fn put(memory: &CoreMemory, control: u32, entry: Entry) -> Result<()> {
    let descriptor = control + abi::CONTROL_BLOCK_ENTRIES;
    let ring = view(memory, descriptor, abi::BLOCK_ENTRY_BYTES, "block entries")?;
    let at = ring.base + (ring.tail & ring.mask) * abi::BLOCK_ENTRY_BYTES;
    memory.store_u32(at + abi::BLOCK_ENTRY_OPERATION, entry.operation | (entry.flags << 8));
    memory.store_u32(at + abi::BLOCK_ENTRY_TAG, entry.tag);
    memory.store_u32(at + abi::BLOCK_ENTRY_CLIENT, entry.client);
    memory.store_u32(at + abi::BLOCK_ENTRY_BUFFER, 0);
    memory.store_u64(at + abi::BLOCK_ENTRY_OFFSET, entry.offset);
    memory.store_u64(at + abi::BLOCK_ENTRY_LENGTH, entry.length);
    memory.store_u32(descriptor + abi::RING_TAIL, ring.tail.wrapping_add(1));
    Ok(())
}

/// Takes the next completion.
pub fn take(memory: &CoreMemory, control: u32) -> Result<Option<Told>> {
    let descriptor = control + abi::CONTROL_BLOCK_COMPLETIONS;
    if memory.load_u32(descriptor + abi::RING_HEAD) == memory.load_u32(descriptor + abi::RING_TAIL) {
        return Ok(None);
    }
    let ring = view(memory, descriptor, abi::BLOCK_COMPLETION_BYTES, "block completions")?;
    let at = ring.base + (ring.head & ring.mask) * abi::BLOCK_COMPLETION_BYTES;
    let load = |offset: u32| memory.load_u32(at + offset).unwrap_or(0);
    let what = load(abi::BLOCK_COMPLETION_KIND);
    memory.store_u32(descriptor + abi::RING_HEAD, ring.head.wrapping_add(1));
    Ok(Some(Told {
        tag: load(abi::BLOCK_COMPLETION_TAG),
        client: load(abi::BLOCK_COMPLETION_CLIENT),
        error: load(abi::BLOCK_COMPLETION_ERROR),
        kind: what & 0xff,
        lent: (what >> 8) & abi::BLOCK_LENT != 0,
        address: load(abi::BLOCK_COMPLETION_ADDRESS),
        length: load(abi::BLOCK_COMPLETION_LENGTH),
    }))
}
