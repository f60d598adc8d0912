//! The descriptors of one port, and which of them takes the next command.
//!
//! Best is one that has none: the driver walks a descriptor's list of commands, under its lock, at every `write` and `read`. So
//! more are opened as commands need them, and several commands share one only where no more may be opened.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::error::Result;
use crate::ring::backend::Backend;
use crate::ring::budget::{Budget, Counted};
use crate::ring::device::{COMMANDS_PER_DESCRIPTOR, Source};
use crate::ring::left;

/// Most descriptors of a port; a deeper one shares them.
const DESCRIPTORS_MAX: usize = 128;

pub struct Descriptor {
    pub file: OwnedFd,
    /// The first `outstanding` entries are the ops that the driver has.
    pub commands: [u32; COMMANDS_PER_DESCRIPTOR],
    pub outstanding: usize,
    /// The backend reports when it is readable.
    pub watched: bool,
    /// Since when the device is known to be gone, in ns; 0: it is present.
    pub gone_ns: u64,
    /// Of those beyond the port's first.
    _counted: Option<Counted>,
}

impl Descriptor {
    /// Its device is gone, and commands are still outstanding.
    pub fn is_awaited(&self) -> bool {
        self.gone_ns != 0 && self.outstanding > 0
    }

    fn has_room(&self) -> bool {
        self.gone_ns == 0 && self.outstanding < COMMANDS_PER_DESCRIPTOR
    }
}

/// Where a command goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    At(usize),
    /// All are full: it waits for an answer.
    Full,
    /// The device is gone.
    Gone,
}

pub struct Descriptors {
    list: Vec<Descriptor>,
    /// Those without a command, the last used one last: it is the one whose memory the processor still knows. Those whose device is
    /// gone are dropped when they come up.
    idle: Vec<usize>,
    /// Where the search for one to share begins.
    next: usize,
    source: Source,
}

/// What opening another one needs.
pub struct Opening<'a> {
    pub backend: &'a mut Backend,
    pub budget: &'a mut Budget,
    pub now_ns: u64,
    /// Of the port and, below it, of the descriptor.
    pub token: u64,
}

impl Descriptors {
    pub const EMPTY: Self = Descriptors { list: Vec::new(), idle: Vec::new(), next: 0, source: Source::Given };

    /// Watches the files; `token` is that of the port.
    pub fn new(files: Vec<OwnedFd>, source: Source, backend: &mut Backend, token: u64) -> Result<Self> {
        let mut set = Descriptors { source, ..Self::EMPTY };
        for file in files {
            if let Err(reason) = set.add(file, None, backend, token) {
                set.close(backend, token);
                return Err(reason);
            }
        }
        // The first is used first.
        set.idle.reverse();
        Ok(set)
    }

    fn add(&mut self, file: OwnedFd, counted: Option<Counted>, backend: &mut Backend, token: u64) -> Result<()> {
        let number = self.list.len();
        backend.watch(token | number as u64, file.as_raw_fd())?;
        let commands = [0; COMMANDS_PER_DESCRIPTOR];
        self.list.push(Descriptor { file, commands, outstanding: 0, watched: true, gone_ns: 0, _counted: counted });
        self.idle.push(number);
        Ok(())
    }

    pub fn first(&self) -> Option<&Descriptor> {
        self.list.first()
    }

    pub fn get(&mut self, number: usize) -> Option<&mut Descriptor> {
        self.list.get_mut(number)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Descriptor> {
        self.list.iter_mut()
    }

    /// Takes the place for one more command of a port of that depth.
    pub fn place(&mut self, depth: u32, mut opening: Opening) -> Place {
        while let Some(number) = self.idle.pop() {
            if self.list[number].gone_ns == 0 {
                return Place::At(number);
            }
        }
        if self.list.iter().all(|one| one.gone_ns != 0) {
            return Place::Gone;
        }
        let shared = self.roomy();
        let wanted = (depth as usize).min(DESCRIPTORS_MAX);
        if self.list.len() < wanted
            && opening.budget.allows(opening.now_ns, shared.is_none())
            && self.open(&mut opening)
        {
            return self.idle.pop().map_or(Place::Full, Place::At);
        }
        let Some(number) = shared else { return Place::Full };
        self.next = number + 1;
        Place::At(number)
    }

    /// One that has room beside its commands: the next after the one that was shared last.
    fn roomy(&self) -> Option<usize> {
        let count = self.list.len();
        (0..count).map(|step| (self.next + step) % count).find(|&number| self.list[number].has_room())
    }

    fn open(&mut self, Opening { backend, budget, now_ns, token }: &mut Opening) -> bool {
        let Some(first) = self.list.first() else { return false };
        let Some(opened) = self.source.open_more(&first.file) else { return false };
        let counted = Some(budget.opened());
        let added = opened.and_then(|file| self.add(file, counted, backend, *token));
        if added.is_err() {
            budget.refused(*now_ns);
        }
        added.is_ok()
    }

    /// The descriptor has no command any more, or has not been given the one for which its place was taken.
    pub fn rest(&mut self, number: usize) {
        let one = &self.list[number];
        if one.outstanding == 0 && one.gone_ns == 0 {
            self.idle.push(number);
        }
    }

    /// Hands those over that have commands at the driver. (A process that emulates a device sees the end of its sockets.)
    pub fn leave(&mut self) {
        let set = std::mem::replace(self, Self::EMPTY);
        for one in set.list.into_iter().filter(|one| set.source == Source::Device && one.outstanding > 0) {
            left::keep(one.file, one.outstanding);
        }
    }

    /// Closes all.
    pub fn close(&mut self, backend: &mut Backend, token: u64) {
        for (number, one) in self.list.iter().enumerate() {
            backend.unwatch(token | number as u64, one.file.as_raw_fd());
        }
        backend.settle();
        *self = Self::EMPTY;
    }
}
