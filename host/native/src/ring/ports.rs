//! SCSI generic ports: each is a device, opened on as many descriptors as its commands need.
//!
//! A command is one `write` of a header; its answer is one `read` once the descriptor is readable. The kernel copies
//! data through its own buffers (no SG_FLAG_DIRECT_IO), so the core's memory is written only during a `read`: a command
//! whose port was given up cannot overwrite a buffer that has been reused.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::error::{Code, Result, errno, error};
use crate::ring::backend::Backend;
use crate::ring::budget::Budget;
use crate::ring::command::{check_slot, send, store};
use crate::ring::descriptors::{Descriptor, Descriptors, Opening, Place};
use crate::ring::desk::Desk;
use crate::ring::device::Source;
use crate::ring::event::Readable;
use crate::ring::op::{Kind, OpList};
use crate::ring::queues::Submission;
use crate::sg::{SG_HEADER_BYTES, SgIoHeader};

/// Maximum number of ports of a ring: a handle has 15 bits for the place and 16 for the generation.
const PORTS_MAX: usize = 1 << 15;
/// Interval for reading a descriptor whose device is gone while commands are still outstanding: it always polls as
/// readable, so polling would spin.
const GONE_CHECK_NS: u64 = 5_000_000;
/// When commands of a removed device count as lost: the kernel ends them long before.
const GONE_NS_MAX: u64 = 60_000_000_000;

struct Port {
    open: bool,
    closing: bool,
    generation: u16,
    depth: u32,
    /// The depth it was opened for.
    depth_max: u32,
    outstanding: u32,
    descriptors: Descriptors,
    /// Commands beyond the depth.
    waiting: OpList,
}

pub struct Ports {
    table: Vec<Port>,
    free: Vec<u32>,
    /// Number of descriptors with outstanding commands whose device is gone.
    gone: u32,
    sequence: i32,
    pub budget: Budget,
}

// A token: the descriptor, the port and its generation, so that late news of a closed port is not taken for its successor's.
const DESCRIPTOR_BITS: u32 = 10;
const PORT_BITS: u32 = 15;

fn token(port: u32, generation: u16) -> u64 {
    (u64::from(generation) << (DESCRIPTOR_BITS + PORT_BITS)) | (u64::from(port) << DESCRIPTOR_BITS)
}

/// Port, generation and descriptor.
fn parts(token: u64) -> (u32, u16, usize) {
    let port = (token >> DESCRIPTOR_BITS) as u32 & ((1 << PORT_BITS) - 1);
    (port, (token >> (DESCRIPTOR_BITS + PORT_BITS)) as u16, (token as usize) & ((1 << DESCRIPTOR_BITS) - 1))
}

impl Ports {
    pub fn new() -> Self {
        Ports { table: Vec::new(), free: Vec::new(), gone: 0, sequence: 0, budget: Budget::new() }
    }

    pub fn handle(&self, index: u32) -> u32 {
        (u32::from(self.table[index as usize].generation) << 15) | index
    }

    fn find(&self, handle: u32) -> Option<u32> {
        let index = handle & (PORTS_MAX as u32 - 1);
        let port = self.table.get(index as usize)?;
        let usable = port.open && !port.closing && u32::from(port.generation) == handle >> 15;
        usable.then_some(index)
    }

    /// Adds a port with descriptors that support the sg interface.
    pub fn add(&mut self, files: Vec<OwnedFd>, source: Source, depth: u32, backend: &mut Backend) -> Result<u32> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.table.len() < PORTS_MAX => {
                self.table.push(Port {
                    open: false,
                    closing: false,
                    generation: 0,
                    depth,
                    depth_max: depth,
                    outstanding: 0,
                    descriptors: Descriptors::EMPTY,
                    waiting: OpList::EMPTY,
                });
                (self.table.len() - 1) as u32
            }
            None => return Err(error(Code::Limit, format!("openPort: {PORTS_MAX} ports are open already"))),
        };
        let port = &mut self.table[index as usize];
        port.generation = port.generation.wrapping_add(1).max(1);
        match Descriptors::new(files, source, backend, token(index, port.generation)) {
            Ok(descriptors) => port.descriptors = descriptors,
            Err(reason) => {
                self.free.push(index);
                return Err(reason);
            }
        }
        port.open = true;
        port.closing = false;
        (port.depth, port.depth_max) = (depth, depth);
        port.outstanding = 0;
        Ok(index)
    }

    /// A duplicate of one of the port's descriptors, for an ioctl on another thread.
    pub fn duplicate(&self, handle: u32) -> std::result::Result<OwnedFd, i32> {
        let index = self.find(handle).ok_or(libc::EBADF)?;
        let first = self.table[index as usize].descriptors.first().ok_or(libc::EBADF)?;
        first.file.try_clone().map_err(|reason| reason.raw_os_error().unwrap_or(libc::EIO))
    }

    /// When `check_gone` has to be called next; none unless a device is gone with commands outstanding.
    pub fn check_ns(&self, now_ns: u64) -> Option<u64> {
        (self.gone > 0).then_some(now_ns + GONE_CHECK_NS)
    }

    // ---- Commands ----------------------------------------------------------------------------------------------

    /// Starts a SCSI command, or returns the errno with which it is refused.
    pub fn accept(&mut self, desk: &mut Desk, submission: Submission) -> std::result::Result<(), i32> {
        let index = self.find(submission.handle).ok_or(libc::EBADF)?;
        check_slot(desk.memory, submission.address)?;
        let op = desk.ops.take(Kind::Scsi, submission.tag, index);
        desk.ops.get(op).slot = submission.address;
        self.table[index as usize].waiting.push(desk.ops, op);
        self.pump(desk, index);
        Ok(())
    }

    /// Sends waiting commands to the driver, as many as its descriptors and the depth allow.
    fn pump(&mut self, desk: &mut Desk, index: u32) {
        let port = &mut self.table[index as usize];
        let token = token(index, port.generation);
        while port.outstanding < port.depth && !port.waiting.is_empty() {
            let (backend, budget, now_ns) = (&mut *desk.backend, &mut self.budget, desk.finished.now_ns);
            let number = match port.descriptors.place(port.depth_max, Opening { backend, budget, now_ns, token }) {
                Place::At(number) => number,
                Place::Full => return,
                Place::Gone => return refuse_waiting(port, desk, libc::ENODEV),
            };
            let Some(descriptor) = port.descriptors.get(number) else { return };
            let Some(op) = port.waiting.pop(desk.ops) else { return };
            self.sequence = (self.sequence + 1) & 0x3fff_ffff;
            match send(descriptor.file.as_raw_fd(), desk, op, self.sequence) {
                Ok(()) => {
                    descriptor.commands[descriptor.outstanding] = op;
                    descriptor.outstanding += 1;
                    port.outstanding += 1;
                    continue;
                }
                // The driver has no room now; the next answer makes some. (EDOM: this descriptor's queue is full.)
                Err(libc::EDOM | libc::EAGAIN | libc::ENOMEM | libc::EBUSY) if port.outstanding > 0 => {
                    port.waiting.push_front(desk.ops, op);
                    return port.descriptors.rest(number);
                }
                Err(errno) => {
                    // The driver may report ENXIO for a removed device; a process that emulates a device, EPIPE.
                    let gone = matches!(errno, libc::ENXIO | libc::EPIPE | libc::ECONNRESET);
                    finish(desk, op, if gone { -libc::ENODEV } else { -errno });
                }
            }
            port.descriptors.rest(number);
        }
    }

    /// A descriptor is readable, or its device is gone.
    pub fn readable(&mut self, desk: &mut Desk, Readable { token, gone, ended }: Readable) {
        let (index, generation, number) = parts(token);
        let port = self.table.get_mut(index as usize).filter(|port| port.open && port.generation == generation);
        let Some(port) = port else { return };
        let Some(descriptor) = port.descriptors.get(number) else { return };
        descriptor.watched &= !ended;
        let (before, awaited) = (descriptor.outstanding, descriptor.is_awaited());
        let over = receive(descriptor, desk);
        if over {
            give_up(descriptor, desk);
        }
        port.outstanding -= (before - descriptor.outstanding) as u32;
        if (gone || over) && descriptor.gone_ns == 0 {
            descriptor.gone_ns = desk.finished.now_ns;
        }
        self.gone = self.gone + u32::from(descriptor.is_awaited()) - u32::from(awaited);
        if !descriptor.watched && descriptor.gone_ns == 0 {
            descriptor.watched = desk.backend.watch(token, descriptor.file.as_raw_fd()).is_ok();
        }
        if before > 0 {
            port.descriptors.rest(number);
        }
        self.pump(desk, index);
        self.finish_close(desk, index);
    }

    /// Reads outstanding answers of removed devices, and gives up those that will never come.
    pub fn check_gone(&mut self, desk: &mut Desk) {
        self.budget.new_turn();
        if self.gone == 0 {
            return;
        }
        for index in 0..self.table.len() {
            let port = &mut self.table[index];
            if !port.open || port.outstanding == 0 {
                continue;
            }
            for descriptor in port.descriptors.iter_mut() {
                if !descriptor.is_awaited() {
                    continue;
                }
                let before = descriptor.outstanding;
                let ended = receive(descriptor, desk);
                if ended || desk.finished.now_ns > descriptor.gone_ns + GONE_NS_MAX {
                    give_up(descriptor, desk);
                }
                port.outstanding -= (before - descriptor.outstanding) as u32;
                self.gone -= u32::from(!descriptor.is_awaited());
            }
            self.finish_close(desk, index as u32);
        }
    }

    /// Sets the maximum number of commands in flight at the device; those already there are not taken back.
    pub fn set_depth(&mut self, desk: &mut Desk, handle: u32, depth: u32) -> Result<()> {
        let index = self.find(handle);
        let index = index.ok_or_else(|| error(Code::Handle, format!("portDepth: no port has the handle {handle}")))?;
        let port = &mut self.table[index as usize];
        let most = port.depth_max;
        if depth == 0 || depth > most {
            let message = format!("depth: {depth} is not from 1 to {most}, for which the port was opened");
            return Err(error(Code::Argument, message));
        }
        port.depth = depth;
        self.pump(desk, index);
        Ok(())
    }

    // ---- Closing -----------------------------------------------------------------------------------------------

    /// Closes a port: waiting commands are refused with ENODEV, those at the driver complete first.
    pub fn close(&mut self, desk: &mut Desk, handle: u32) -> Result<()> {
        let index = self.find(handle);
        let index = index.ok_or_else(|| error(Code::Handle, format!("closePort: no port has the handle {handle}")))?;
        let port = &mut self.table[index as usize];
        port.closing = true;
        refuse_waiting(port, desk, libc::ENODEV);
        self.finish_close(desk, index);
        Ok(())
    }

    /// The ring ends: what the driver still carries out is remembered.
    pub fn leave(&mut self) {
        for port in self.table.iter_mut().filter(|port| port.open && port.outstanding > 0) {
            port.descriptors.leave();
        }
    }

    fn finish_close(&mut self, desk: &mut Desk, index: u32) {
        let port = &mut self.table[index as usize];
        if port.open && port.closing && port.outstanding == 0 {
            port.descriptors.close(desk.backend, token(index, port.generation));
            port.open = false;
            self.free.push(index);
        }
    }
}

fn finish(desk: &mut Desk, op: u32, result: i32) {
    let tag = desk.ops.get(op).tag;
    desk.ops.give_back(op);
    desk.finished.put(tag, result);
}

fn refuse_waiting(port: &mut Port, desk: &mut Desk, errno: i32) {
    while let Some(op) = port.waiting.pop(desk.ops) {
        finish(desk, op, -errno);
    }
}

/// Ends all commands of a descriptor whose device will not answer any more.
fn give_up(descriptor: &mut Descriptor, desk: &mut Desk) {
    while descriptor.outstanding > 0 {
        descriptor.outstanding -= 1;
        finish(desk, descriptor.commands[descriptor.outstanding], -libc::ENODEV);
    }
}

/// Reads the available answers. Returns true when the descriptor has ended: no more answers will ever come from it.
fn receive(descriptor: &mut Descriptor, desk: &mut Desk) -> bool {
    while descriptor.outstanding > 0 {
        let mut header = SgIoHeader::empty();
        // SAFETY: `header` has room for SG_HEADER_BYTES bytes. The driver writes sense and data to places that were
        // checked when the command was sent.
        let count = unsafe { libc::read(descriptor.file.as_raw_fd(), (&raw mut header).cast(), SG_HEADER_BYTES) };
        if count < 0 {
            match errno() {
                libc::EINTR => continue,
                libc::EAGAIN => return false,
                // An answer whose data could not be copied counts as an answer, but it does not identify its command.
                _ => return true,
            }
        }
        if count as usize != SG_HEADER_BYTES {
            return true;
        }
        let op = header.usr_ptr.addr() as u32;
        let known = descriptor.commands[..descriptor.outstanding].iter().position(|&one| one == op);
        let Some(place) = known.filter(|_| desk.ops.get(op).sequence == header.pack_id) else { continue };
        descriptor.outstanding -= 1;
        descriptor.commands[place] = descriptor.commands[descriptor.outstanding];
        let result = store(desk.memory, desk.ops.get(op).slot, &header).map_or(-libc::EFAULT, |()| 0);
        finish(desk, op, result);
    }
    false
}
