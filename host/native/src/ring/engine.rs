//! One turn of the ring: takes the core's submissions, waits, and returns the results.

mod blocks;
mod streams;
mod targets;

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::abi;
use crate::clock::now_ns;
use crate::error::{Code, Result, errno, error, system};
use crate::memory::CoreMemory;
use crate::ring::backend::Backend;
use crate::ring::desk::Desk;
use crate::ring::device::{self, Source};
use crate::ring::event::{Event, Wait};
use crate::ring::op::{Kind, Ops};
use crate::ring::ports::Ports;
use crate::ring::queues::{Completions, Finished, Submission, Submissions};
use crate::ring::reset::Resets;
use crate::ring::sockets::{self, Sockets};
use crate::ring::tcmu::Tcmus;
use crate::ring::turns::Turns;
use crate::ring::ublk::Ublks;

/// How many turns in a row may leave new RECVs unsubmitted in the kernel's queue because the core has completions to
/// process anyway: the next turn submits them together with what those completions lead to.
const POSTPONED_TURNS_MAX: u32 = 2;
/// How long closing waits for the kernel to finish ops in progress.
const CLOSE_NS_MAX: u64 = 2_000_000_000;

/// Somebody called `wake`.
pub const ENTER_WOKEN: i32 = 1;
/// A block device has ended, its READ lies in several places, or it has a command that is asked about.
pub const ENTER_ATTENTION: i32 = 2;

pub struct Engine {
    pub memory: CoreMemory,
    control: u32,
    ops: Ops,
    sockets: Sockets,
    ports: Ports,
    resets: Resets,
    ublks: Ublks,
    tcmus: Tcmus,
    backend: Backend,
    wake: OwnedFd,
    events: Vec<Event>,
    finished: Finished,
    /// Set when this turn took anything other than RECVs.
    urgent: bool,
    postponed: u32,
    woken: bool,
    pub turns: Turns,
}

/// A blocking eventfd: io_uring then waits for it by itself, and epoll reads it only when it is readable.
fn open_wake() -> Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(system("eventfd", errno()));
    }
    // SAFETY: `fd` was just opened and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

impl Engine {
    pub fn open(memory: CoreMemory, control: u32, backend: &str, poll_ns: u64) -> Result<Self> {
        if memory.range(control, abi::CONTROL_BYTES).is_none() {
            return Err(error(Code::Layout, format!("controlBlock: {control} lies outside the core's memory")));
        }
        memory.prefer_huge_pages();
        let wake = open_wake()?;
        let backend = Backend::open(backend, wake.as_raw_fd(), poll_ns).unwrap_or_else(|| {
            let message = format!("backend: \"{backend}\" is unknown; use \"auto\", \"io_uring\" or \"epoll\"");
            Err(error(Code::Argument, message))
        })?;
        Ok(Engine {
            memory,
            control,
            ops: Ops::new(),
            sockets: Sockets::new(),
            ports: Ports::new(),
            resets: Resets::default(),
            ublks: Ublks::default(),
            tcmus: Tcmus::default(),
            backend,
            wake,
            events: Vec::with_capacity(1024),
            finished: Finished::new(now_ns()),
            urgent: false,
            postponed: 0,
            woken: false,
            turns: Turns::new(now_ns()),
        })
    }

    pub fn backend_name(&self) -> &'static str {
        self.backend.name()
    }

    pub fn wake_descriptor(&self) -> i32 {
        self.wake.as_raw_fd()
    }

    pub fn descriptor_refusals(&self) -> u64 {
        self.ports.budget.refusals
    }

    /// Takes ownership of a connected stream socket.
    pub fn add_socket(&mut self, fd: i32) -> Result<u32> {
        let descriptor = sockets::adopt(fd)?;
        let index = self.sockets.add(descriptor)?;
        if let Backend::Epoll(epoll) = &self.backend
            && let Err(reason) = epoll.add(index, fd)
        {
            self.sockets.remove(index);
            return Err(reason);
        }
        Ok(self.sockets.handle(index))
    }

    /// Opens an sg device as a port.
    pub fn open_port(&mut self, device: &str, depth: u32) -> Result<u32> {
        let file = device::open_device(device, depth)?;
        let index = self.ports.add(vec![file], Source::Device, depth, &mut self.backend)?;
        Ok(self.ports.handle(index))
    }

    /// Creates a port from descriptors at whose other end a process emulates an sg device.
    pub fn adopt_port(&mut self, descriptors: &[i32], depth: u32) -> Result<u32> {
        let files = device::adopt(descriptors, depth)?;
        let index = self.ports.add(files, Source::Given, depth, &mut self.backend)?;
        Ok(self.ports.handle(index))
    }

    pub fn close_port(&mut self, handle: u32) -> Result<()> {
        self.with_ports(|ports, desk| ports.close(desk, handle))
    }

    pub fn set_port_depth(&mut self, handle: u32, depth: u32) -> Result<()> {
        self.with_ports(|ports, desk| ports.set_depth(desk, handle, depth))
    }

    fn with_ports<T>(&mut self, step: impl FnOnce(&mut Ports, &mut Desk) -> T) -> T {
        let (memory, ops) = (&self.memory, &mut self.ops);
        let mut desk = Desk { memory, ops, backend: &mut self.backend, finished: &mut self.finished };
        step(&mut self.ports, &mut desk)
    }

    /// One turn. Returns ENTER_* bits.
    pub fn enter(&mut self, wait_us_max: i32) -> Result<i32> {
        self.finished.now_ns = now_ns();
        self.woken = false;
        self.urgent = false;
        self.take_submissions()?;
        let entered = self.take_told()?;
        let limit = self.before_release(self.limit(wait_us_max));
        let mut waiting = !entered && Completions::open(&self.memory, self.control)?.is_empty();
        if !waiting && !self.urgent && self.postponed < POSTPONED_TURNS_MAX {
            self.postponed += 1;
            self.stop_working(self.finished.now_ns);
            return self.leave();
        }
        self.postponed = 0;
        let mut waits_since_ns = 0;
        loop {
            waiting = waiting && self.finished.is_empty() && !self.has_entered();
            let wait = if waiting { self.before_check(limit) } else { Wait::No };
            if waits_since_ns == 0 && !matches!(wait, Wait::No) {
                waits_since_ns = now_ns();
                self.stop_working(waits_since_ns);
            }
            self.turn(wait)?;
            let due = match limit {
                Wait::No => true,
                Wait::Until(limit_ns) => self.finished.now_ns >= limit_ns,
                Wait::Forever => false,
            };
            let news = !self.finished.is_empty() || self.has_entered() || self.needs_attention();
            if due || !waiting || news || self.woken {
                if waits_since_ns == 0 {
                    self.stop_working(self.finished.now_ns);
                } else {
                    self.turns.begin(self.finished.now_ns);
                }
                return self.leave();
            }
        }
    }

    /// The turn ends; what follows is a wait, or the next turn.
    fn stop_working(&mut self, now_ns: u64) {
        self.memory.store_u64(self.control + abi::CONTROL_WAITING_NS, now_ns);
        self.turns.end(now_ns);
    }

    /// Stores results and the time in the core's memory.
    fn leave(&mut self) -> Result<i32> {
        self.finished.store(&self.memory, self.control)?;
        self.memory.store_u64(self.control + abi::CONTROL_NOW_NS, self.finished.now_ns);
        let attention = if self.needs_attention() { ENTER_ATTENTION } else { 0 };
        Ok(if self.woken { ENTER_WOKEN | attention } else { attention })
    }

    /// Until when this turn may wait: the core's deadline, or the caller's limit.
    fn limit(&self, wait_us_max: i32) -> Wait {
        let deadline_ns = self.memory.load_u64(self.control + abi::CONTROL_DEADLINE_NS).unwrap_or(0);
        let limit_ns = match u64::try_from(wait_us_max) {
            Ok(us) => deadline_ns.min(self.finished.now_ns + us * 1000),
            Err(_) => deadline_ns,
        };
        match limit_ns {
            u64::MAX => Wait::Forever,
            limit_ns if limit_ns <= self.finished.now_ns => Wait::No,
            limit_ns => Wait::Until(limit_ns),
        }
    }

    /// The limit, or earlier if descriptors of removed devices have to be checked before.
    fn before_check(&self, limit: Wait) -> Wait {
        match (limit, self.ports.check_ns(self.finished.now_ns)) {
            (Wait::Until(limit_ns), Some(check_ns)) => Wait::Until(limit_ns.min(check_ns)),
            (Wait::Forever, Some(check_ns)) => Wait::Until(check_ns),
            (limit, _) => limit,
        }
    }

    fn turn(&mut self, wait: Wait) -> Result<()> {
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        let result = match &mut self.backend {
            Backend::Uring(uring) => {
                let wait = if uring.must_report(&mut self.ops) { Wait::No } else { wait };
                uring.turn(&mut self.ops, wait, &mut events)
            }
            Backend::Epoll(epoll) => epoll.turn(wait, &mut events),
        };
        self.finished.now_ns = now_ns();
        let mut result = result.and(self.submitted());
        for &event in &events {
            match event {
                Event::Ublk { token, result: given } => result = result.and(self.arrived(token, given)),
                Event::Uio { token, gone } => result = result.and(self.uio_arrived(token, gone)),
                _ => self.handle(event),
            }
        }
        self.with_ports(Ports::check_gone);
        self.events = events;
        result
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Wake => {
                self.woken = true;
                self.resets.take(&mut self.finished);
            }
            Event::Op { index, result } => self.step(index, result),
            // Taken by `turn`: it can fail.
            Event::Ublk { .. } | Event::Uio { .. } => {}
            Event::Readable(readable) => self.with_ports(|ports, desk| ports.readable(desk, readable)),
            Event::HungUp { index, gone } => self.hung_up(index, gone),
            Event::Socket { index, readable, writable } => {
                let socket = self.sockets.get(index);
                socket.readable |= readable;
                socket.writable |= writable;
                if readable {
                    self.pump(index, Kind::Recv);
                }
                if writable {
                    self.pump(index, Kind::Send);
                }
            }
        }
    }

    // ---- Submissions -------------------------------------------------------------------------------------------

    fn take_submissions(&mut self) -> Result<()> {
        let mut queue = Submissions::open(&self.memory, self.control)?;
        while let Some(submission) = queue.take(&self.memory) {
            if let Err(errno) = self.accept(submission) {
                self.finished.put(submission.tag, -errno);
            }
        }
        queue.close(&self.memory);
        Ok(())
    }

    /// Starts a submission, or returns the errno with which it is refused (it then had no effect).
    fn accept(&mut self, submission: Submission) -> std::result::Result<(), i32> {
        match submission.op {
            abi::OP_RECV => self.accept_recv(submission),
            abi::OP_SEND => self.accept_send(submission),
            abi::OP_SCSI => {
                self.urgent = true;
                self.with_ports(|ports, desk| ports.accept(desk, submission))
            }
            abi::OP_CLOSE => self.accept_close(submission),
            abi::OP_WATCH => self.accept_watch(submission),
            abi::OP_RESET => self.accept_reset(submission),
            _ => Err(libc::EINVAL),
        }
    }

    fn accept_reset(&mut self, submission: Submission) -> std::result::Result<(), i32> {
        let device = self.ports.duplicate(submission.handle)?;
        let wake = self.wake.try_clone().map_err(|reason| reason.raw_os_error().unwrap_or(libc::EIO))?;
        self.resets.start(device, wake, submission.length, submission.tag)
    }

    /// Ends everything. Returns false when the kernel has not finished in time: then nothing may be freed.
    pub fn close(&mut self) -> bool {
        for index in 0..self.sockets.len() {
            let fd = self.sockets.get(index).fd();
            if fd >= 0 {
                // SAFETY: no pointers are passed.
                unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
            }
        }
        let finished = match &mut self.backend {
            Backend::Uring(uring) => uring.drain(&mut self.ops, &mut self.events, now_ns() + CLOSE_NS_MAX),
            Backend::Epoll(_) => true,
        };
        self.ports.leave();
        finished
    }
}
