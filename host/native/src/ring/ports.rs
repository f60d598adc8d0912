//! SCSI generic ports: each is a device, opened on enough descriptors for its queue depth.
//!
//! A command is one `write` of a header; its answer is one `read` once the descriptor is readable. The kernel copies
//! data through its own buffers (no SG_FLAG_DIRECT_IO), so the core's memory is written only during a `read`: a command
//! whose port was given up cannot overwrite a buffer that has been reused.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::error::{Code, Result, errno, error};
use crate::ring::backend::Backend;
use crate::ring::command::{check_slot, send, store};
use crate::ring::desk::Desk;
use crate::ring::device::COMMANDS_PER_DESCRIPTOR;
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

struct Descriptor {
    file: OwnedFd,
    /// The first `outstanding` entries are the ops that the driver has.
    commands: [u32; COMMANDS_PER_DESCRIPTOR],
    outstanding: usize,
    /// A poll is in progress (io_uring).
    polled: bool,
    /// Since when the device is known to be gone, in ns; 0: it is present.
    gone_ns: u64,
}

impl Descriptor {
    /// Its device is gone, and commands are still outstanding.
    fn is_awaited(&self) -> bool {
        self.gone_ns != 0 && self.outstanding > 0
    }
}

struct Port {
    open: bool,
    closing: bool,
    generation: u16,
    depth: u32,
    outstanding: u32,
    descriptors: Vec<Descriptor>,
    /// Commands beyond the depth.
    waiting: OpList,
}

pub struct Ports {
    table: Vec<Port>,
    free: Vec<u32>,
    /// Number of descriptors with outstanding commands whose device is gone.
    gone: u32,
    sequence: i32,
}

fn token(port: u32, descriptor: usize) -> u32 {
    (port << 8) | descriptor as u32
}

impl Ports {
    pub fn new() -> Self {
        Ports { table: Vec::new(), free: Vec::new(), gone: 0, sequence: 0 }
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
    pub fn add(&mut self, files: Vec<OwnedFd>, depth: u32, backend: &Backend) -> Result<u32> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.table.len() < PORTS_MAX => {
                let waiting = OpList::EMPTY;
                let descriptors = Vec::new();
                let (open, closing, generation, outstanding) = (false, false, 0, 0);
                self.table.push(Port { open, closing, generation, depth, outstanding, descriptors, waiting });
                (self.table.len() - 1) as u32
            }
            None => return Err(error(Code::Limit, format!("openPort: {PORTS_MAX} ports are open already"))),
        };
        let port = &mut self.table[index as usize];
        for (number, file) in files.iter().enumerate() {
            if let Err(reason) = backend.add_port(token(index, number), file.as_raw_fd()) {
                self.free.push(index);
                return Err(reason);
            }
        }
        port.generation = port.generation.wrapping_add(1).max(1);
        port.open = true;
        port.closing = false;
        port.depth = depth;
        port.outstanding = 0;
        let descriptor = |file| {
            let commands = [0; COMMANDS_PER_DESCRIPTOR];
            Descriptor { file, commands, outstanding: 0, polled: false, gone_ns: 0 }
        };
        port.descriptors = files.into_iter().map(descriptor).collect();
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
        while port.outstanding < port.depth {
            let free = |one: &Descriptor| one.outstanding < COMMANDS_PER_DESCRIPTOR && one.gone_ns == 0;
            // The first with a free place: thus few commands need few descriptors to be polled.
            let Some(number) = port.descriptors.iter().position(free) else {
                if port.descriptors.iter().all(|one| one.gone_ns != 0) {
                    refuse_waiting(port, desk, libc::ENODEV);
                }
                return;
            };
            let Some(op) = port.waiting.pop(desk.ops) else { return };
            self.sequence = (self.sequence + 1) & 0x3fff_ffff;
            let descriptor = &mut port.descriptors[number];
            match send(descriptor.file.as_raw_fd(), desk, op, self.sequence) {
                Ok(()) => {
                    descriptor.commands[descriptor.outstanding] = op;
                    descriptor.outstanding += 1;
                    port.outstanding += 1;
                    if !descriptor.polled {
                        descriptor.polled = desk.backend.poll(descriptor.file.as_raw_fd(), token(index, number));
                    }
                }
                // The driver has no room now; the next answer makes some. (EDOM: this descriptor's queue is full.)
                Err(libc::EDOM | libc::EAGAIN | libc::ENOMEM | libc::EBUSY) if port.outstanding > 0 => {
                    port.waiting.push_front(desk.ops, op);
                    return;
                }
                Err(errno) => {
                    // The driver may report ENXIO for a removed device; a process that emulates a device, EPIPE.
                    let gone = matches!(errno, libc::ENXIO | libc::EPIPE | libc::ECONNRESET);
                    finish(desk, op, if gone { -libc::ENODEV } else { -errno });
                }
            }
        }
    }

    /// A descriptor is readable, or its device is gone.
    pub fn readable(&mut self, desk: &mut Desk, token: u32, gone: bool) {
        let (index, number) = (token >> 8, (token & 0xff) as usize);
        let Some(port) = self.table.get_mut(index as usize).filter(|port| port.open) else { return };
        let Some(descriptor) = port.descriptors.get_mut(number) else { return };
        descriptor.polled = false;
        let (before, awaited) = (descriptor.outstanding, descriptor.is_awaited());
        let ended = receive(descriptor, desk);
        if ended {
            give_up(descriptor, desk);
        }
        port.outstanding -= (before - descriptor.outstanding) as u32;
        if (gone || ended) && descriptor.gone_ns == 0 {
            descriptor.gone_ns = desk.finished.now_ns;
        }
        self.gone = self.gone + u32::from(descriptor.is_awaited()) - u32::from(awaited);
        if descriptor.outstanding > 0 && descriptor.gone_ns == 0 {
            descriptor.polled = desk.backend.poll(descriptor.file.as_raw_fd(), token);
        }
        self.pump(desk, index);
        self.finish_close(desk, index);
    }

    /// Reads outstanding answers of removed devices, and gives up those that will never come.
    pub fn check_gone(&mut self, desk: &mut Desk) {
        if self.gone == 0 {
            return;
        }
        for index in 0..self.table.len() {
            let port = &mut self.table[index];
            if !port.open || port.outstanding == 0 {
                continue;
            }
            for descriptor in &mut port.descriptors {
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
        let most = port.descriptors.len() * COMMANDS_PER_DESCRIPTOR;
        if depth == 0 || depth as usize > most {
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

    fn finish_close(&mut self, desk: &mut Desk, index: u32) {
        let port = &mut self.table[index as usize];
        if port.open && port.closing && port.outstanding == 0 {
            for descriptor in &port.descriptors {
                desk.backend.remove(descriptor.file.as_raw_fd());
            }
            port.descriptors.clear();
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
