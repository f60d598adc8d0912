//! The rings in the core's memory, as laid out by abi.ts.

use std::collections::VecDeque;

use crate::abi;
use crate::error::{Code, Result, error};
use crate::memory::CoreMemory;

/// One ring descriptor, read again each turn: the core may lay out its memory after the ring was created.
pub struct View {
    descriptor: u32,
    pub base: u32,
    pub mask: u32,
    pub head: u32,
    pub tail: u32,
}

pub fn view(memory: &CoreMemory, descriptor: u32, entry_bytes: u32, name: &str) -> Result<View> {
    let field = |offset: u32| {
        let address = descriptor.wrapping_add(offset);
        memory.load_u32(address).ok_or_else(|| error(Code::Layout, format!("{name}: its descriptor lies outside")))
    };
    let (base, capacity) = (field(abi::RING_BASE)?, field(abi::RING_CAPACITY)?);
    let (head, tail) = (field(abi::RING_HEAD)?, field(abi::RING_TAIL)?);
    let bytes = u64::from(capacity) * u64::from(entry_bytes);
    let fits = u32::try_from(bytes).is_ok_and(|bytes| memory.range(base, bytes).is_some());
    if !capacity.is_power_of_two() || !fits || tail.wrapping_sub(head) > capacity {
        let what = format!("{name}: base {base}, capacity {capacity}, head {head}, tail {tail}");
        return Err(error(
            Code::Layout,
            format!("{what} is no ring within the core's memory; initialise the core first"),
        ));
    }
    Ok(View { descriptor, base, mask: capacity - 1, head, tail })
}

/// One submission, copied out of the core's memory.
#[derive(Clone, Copy)]
pub struct Submission {
    pub op: u32,
    pub flags: u32,
    pub tag: u32,
    pub handle: u32,
    pub address: u32,
    pub length: u32,
}

/// The native queue: the core fills it, the ring empties it.
pub struct Submissions {
    view: View,
}

impl Submissions {
    pub fn open(memory: &CoreMemory, control: u32) -> Result<Self> {
        let descriptor = control + abi::CONTROL_NATIVE_QUEUE;
        Ok(Submissions { view: view(memory, descriptor, abi::SUBMISSION_BYTES, "native queue")? })
    }

    /// Takes the next submission.
    pub fn take(&mut self, memory: &CoreMemory) -> Option<Submission> {
        if self.view.head == self.view.tail {
            return None;
        }
        let entry = self.view.base + (self.view.head & self.view.mask) * abi::SUBMISSION_BYTES;
        self.view.head = self.view.head.wrapping_add(1);
        let first = memory.load_u32(entry)?;
        Some(Submission {
            op: first & 0xff,
            flags: (first >> 8) & 0xff,
            tag: memory.load_u32(entry + abi::SUBMISSION_TAG)?,
            handle: memory.load_u32(entry + abi::SUBMISSION_HANDLE)?,
            address: memory.load_u32(entry + abi::SUBMISSION_ADDRESS)?,
            length: memory.load_u32(entry + abi::SUBMISSION_LENGTH)?,
        })
    }

    /// Tells the core how far its submissions were taken.
    pub fn close(self, memory: &CoreMemory) {
        memory.store_u32(self.view.descriptor + abi::RING_HEAD, self.view.head);
    }
}

/// A result to be passed to the core.
#[derive(Clone, Copy)]
pub struct Completion {
    pub tag: u32,
    pub result: i32,
    pub time_ns: u64,
}

/// Results for which the completion queue had no room yet, oldest first.
pub struct Finished {
    queue: VecDeque<Completion>,
    /// The timestamp of the results: when this turn last read the clock.
    pub now_ns: u64,
}

impl Finished {
    pub fn new(now_ns: u64) -> Self {
        Finished { queue: VecDeque::with_capacity(1024), now_ns }
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn put(&mut self, tag: u32, result: i32) {
        self.queue.push_back(Completion { tag, result, time_ns: self.now_ns });
    }

    /// Moves results into the core's completion queue, as far as they fit.
    pub fn store(&mut self, memory: &CoreMemory, control: u32) -> Result<()> {
        let mut queue = Completions::open(memory, control)?;
        while let Some(&completion) = self.queue.front() {
            if !queue.put(memory, completion) {
                break;
            }
            self.queue.pop_front();
        }
        queue.close(memory);
        Ok(())
    }
}

/// The completion queue: filled by the ring and the emulated array, emptied by the core.
pub struct Completions {
    view: View,
}

impl Completions {
    pub fn open(memory: &CoreMemory, control: u32) -> Result<Self> {
        let descriptor = control + abi::CONTROL_COMPLETION_QUEUE;
        Ok(Completions { view: view(memory, descriptor, abi::COMPLETION_BYTES, "completion queue")? })
    }

    pub fn is_empty(&self) -> bool {
        self.view.head == self.view.tail
    }

    /// Stores one completion; returns false when the ring is full.
    fn put(&mut self, memory: &CoreMemory, completion: Completion) -> bool {
        if self.view.tail.wrapping_sub(self.view.head) > self.view.mask {
            return false;
        }
        let entry = self.view.base + (self.view.tail & self.view.mask) * abi::COMPLETION_BYTES;
        memory.store_u32(entry + abi::COMPLETION_TAG, completion.tag);
        memory.store_u32(entry + abi::COMPLETION_RESULT, completion.result.cast_unsigned());
        memory.store_u64(entry + abi::COMPLETION_TIME_NS, completion.time_ns);
        self.view.tail = self.view.tail.wrapping_add(1);
        true
    }

    /// Tells the core how many completions were stored.
    fn close(self, memory: &CoreMemory) {
        memory.store_u32(self.view.descriptor + abi::RING_TAIL, self.view.tail);
    }
}
