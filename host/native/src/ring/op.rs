//! The life of an op in the ring: taken from the native queue, in progress, finished.

use std::ptr;

/// Index that means no op.
pub const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Free,
    Recv,
    Send,
    Scsi,
}

/// The state of an op in the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waits behind another op of the same socket and direction, or for a free place at a port.
    Queued,
    /// The kernel has it, or gets it with the next submission.
    Started,
    /// io_uring only: a SEND that the kernel tries once, without waiting, and reports only when it fails.
    Quick,
}

/// One op. Its address never changes while the kernel uses it (each is in its own box).
pub struct Op {
    pub kind: Kind,
    pub stage: Stage,
    pub tag: u32,
    /// Index of the socket or port.
    pub target: u32,
    /// RECV: completes only when every byte has arrived.
    pub wait_all: bool,
    /// SEND: success may be reported together with the next completion.
    pub lazy: bool,
    /// SCSI: distinguishes a stale answer from that of a later command in the same place.
    pub sequence: i32,
    /// RECV: the buffer.
    pub buffer: *mut u8,
    /// RECV: bytes of the buffer. SEND: bytes of all gather entries.
    pub length: u32,
    /// Bytes transferred so far.
    pub done: u32,
    /// SEND: the data left to send, from `first` on.
    pub gather: Vec<libc::iovec>,
    pub first: usize,
    pub message: libc::msghdr,
    /// SCSI: address of the command slot in the core's memory.
    pub slot: u32,
    /// The next op of its list.
    pub next: u32,
}

/// What to do with an op after a step of the backend.
pub enum Step {
    /// Finished, with this result for the core.
    Done(i32),
    /// Partly done; the rest has to be started again.
    Again,
}

impl Op {
    fn new() -> Self {
        // SAFETY: msghdr is plain data for which all zeroes (null pointers, zero lengths) is a valid value.
        let message = unsafe { std::mem::zeroed::<libc::msghdr>() };
        Op {
            kind: Kind::Free,
            stage: Stage::Queued,
            tag: 0,
            target: 0,
            wait_all: false,
            lazy: false,
            sequence: 0,
            buffer: ptr::null_mut(),
            length: 0,
            done: 0,
            gather: Vec::new(),
            first: 0,
            message,
            slot: 0,
            next: NONE,
        }
    }

    /// RECV: where the next byte goes, and how many bytes are missing.
    pub fn rest(&self) -> (*mut u8, u32) {
        // SAFETY: done <= length, and `length` bytes at `buffer` were checked when the op was accepted.
        (unsafe { self.buffer.add(self.done as usize) }, self.length - self.done)
    }

    /// SEND: the message header for the data left to send.
    pub fn message(&mut self) -> *const libc::msghdr {
        let rest = &mut self.gather[self.first..];
        self.message.msg_iov = rest.as_mut_ptr();
        self.message.msg_iovlen = rest.len() as _;
        &raw const self.message
    }

    /// Applies the result of one system call (bytes, or a negated errno).
    pub fn advance(&mut self, result: i32) -> Step {
        if result == -libc::EINTR || result == -libc::EAGAIN {
            return Step::Again;
        }
        if result < 0 {
            return Step::Done(result);
        }
        self.done += result.cast_unsigned();
        let total = self.done.cast_signed();
        match self.kind {
            Kind::Send if self.done < self.length => {
                self.skip(result as usize);
                Step::Again
            }
            Kind::Recv if self.wait_all && result > 0 && self.done < self.length => Step::Again,
            _ => Step::Done(total),
        }
    }

    /// SEND: removes the first `bytes` bytes of the data left to send.
    fn skip(&mut self, mut bytes: usize) {
        while let Some(entry) = self.gather.get_mut(self.first) {
            if bytes < entry.iov_len {
                // SAFETY: bytes < iov_len, so the base stays within the checked entry.
                entry.iov_base = unsafe { entry.iov_base.cast::<u8>().add(bytes) }.cast();
                entry.iov_len -= bytes;
                return;
            }
            bytes -= entry.iov_len;
            self.first += 1;
        }
    }
}

/// All ops. Places are reused, so a ring in steady use allocates nothing.
pub struct Ops {
    // Boxed so that an op keeps its address when the table grows: the kernel holds pointers into it.
    #[allow(clippy::vec_box)]
    table: Vec<Box<Op>>,
    free: u32,
}

impl Ops {
    pub fn new() -> Self {
        Ops { table: Vec::new(), free: NONE }
    }

    pub fn take(&mut self, kind: Kind, tag: u32, target: u32) -> u32 {
        if self.free == NONE {
            self.table.push(Box::new(Op::new()));
            self.free = (self.table.len() - 1) as u32;
        }
        let index = self.free;
        let op = &mut self.table[index as usize];
        self.free = op.next;
        op.kind = kind;
        op.stage = Stage::Queued;
        op.tag = tag;
        op.target = target;
        op.wait_all = false;
        op.lazy = false;
        op.done = 0;
        op.first = 0;
        op.gather.clear();
        op.next = NONE;
        index
    }

    pub fn give_back(&mut self, index: u32) {
        let free = self.free;
        let op = self.get(index);
        op.kind = Kind::Free;
        op.next = free;
        self.free = index;
    }

    #[inline]
    pub fn get(&mut self, index: u32) -> &mut Op {
        &mut self.table[index as usize]
    }
}

/// A first-in first-out list of ops, linked through `Op::next`.
#[derive(Clone, Copy)]
pub struct OpList {
    pub head: u32,
    tail: u32,
}

impl OpList {
    pub const EMPTY: OpList = OpList { head: NONE, tail: NONE };

    pub fn is_empty(self) -> bool {
        self.head == NONE
    }

    pub fn push(&mut self, ops: &mut Ops, index: u32) {
        ops.get(index).next = NONE;
        if self.head == NONE {
            self.head = index;
        } else {
            ops.get(self.tail).next = index;
        }
        self.tail = index;
    }

    pub fn push_front(&mut self, ops: &mut Ops, index: u32) {
        ops.get(index).next = self.head;
        if self.head == NONE {
            self.tail = index;
        }
        self.head = index;
    }

    pub fn pop(&mut self, ops: &mut Ops) -> Option<u32> {
        if self.head == NONE {
            return None;
        }
        let index = self.head;
        self.head = ops.get(index).next;
        if self.head == NONE {
            self.tail = NONE;
        }
        Some(index)
    }
}
