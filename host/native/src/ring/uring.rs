//! The io_uring backend: one `io_uring_enter` submits everything that a turn has requested and waits for the next
//! events.

use std::io;
use std::os::fd::RawFd;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{Builder, IoUring, cqueue, opcode, squeue};

use crate::clock::now_ns;
use crate::error::{Code, Error, Result, error, system};
use crate::ring::event::{Event, Readable, Wait};
use crate::ring::op::{Kind, Ops, Stage};
use crate::ring::spin::Spin;

const SUBMISSION_ENTRIES: u32 = 512;
const COMPLETION_ENTRIES: u32 = 8192;

// The owner of a completion: the high half of its user data; the low half is the index.
const FOR_OP: u64 = 0;
const FOR_WAKE: u64 = 1 << 32;
const FOR_CANCEL: u64 = 3 << 32;
const FOR_WATCH: u64 = 4 << 32;
const FOR_UBLK: u64 = 5 << 32;
const FOR_UIO: u64 = 6 << 32;
/// With a port's token instead of an index.
const FOR_PORT: u64 = 1 << 63;

const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 8;

pub struct Uring {
    ring: IoUring,
    wake: RawFd,
    /// Filled by the pending read of the eventfd. Boxed, because the kernel holds its address.
    wake_value: Box<u64>,
    wake_armed: bool,
    /// SENDs submitted as `Stage::Quick` since the last turn: complete unless a completion says otherwise.
    quick: Vec<u32>,
    /// Number of completions expected from the kernel. Those of ublk commands do not count: only closing the ring ends
    /// them, and none of our memory is used by one that waits.
    owed: u32,
    spin: Spin,
}

/// The possible ring configurations, best first. Older kernels return EINVAL for flags they do not know.
fn builders() -> [Builder; 3] {
    // Task work runs only while we wait (6.1), only one thread submits (6.0): no interruptions, no lock.
    let mut deferred = IoUring::builder();
    deferred.setup_single_issuer().setup_defer_taskrun().setup_submit_all().setup_taskrun_flag();
    let mut cooperative = IoUring::builder();
    cooperative.setup_coop_taskrun().setup_submit_all().setup_taskrun_flag();
    [deferred, cooperative, IoUring::builder()]
}

fn unavailable(reason: &str) -> Error {
    error(Code::UringUnavailable, format!("io_uring is not available: {reason}; use backend \"epoll\" or \"auto\""))
}

fn why(failure: &io::Error) -> Error {
    match failure.raw_os_error() {
        Some(libc::ENOSYS) => unavailable("this kernel has none, or a seccomp filter hides it (ENOSYS)"),
        Some(libc::EPERM | libc::EACCES) => unavailable(
            "this process may not use it (EPERM): see the sysctl kernel.io_uring_disabled, and the seccomp filter of the container or service",
        ),
        Some(libc::ENOMEM) => {
            unavailable("no memory for its rings (ENOMEM): see the limit of locked memory, ulimit -l")
        }
        _ => unavailable(&failure.to_string()),
    }
}

impl Uring {
    pub fn open(wake: RawFd, poll_ns: u64) -> Result<Self> {
        let mut failure = io::Error::from_raw_os_error(libc::EINVAL);
        for mut builder in builders() {
            builder.setup_cqsize(COMPLETION_ENTRIES).dontfork();
            match builder.build(SUBMISSION_ENTRIES) {
                Ok(ring) => return Self::from_ring(ring, wake, poll_ns),
                Err(reason) if reason.raw_os_error() == Some(libc::EINVAL) => failure = reason,
                Err(reason) => return Err(why(&reason)),
            }
        }
        Err(why(&failure))
    }

    fn from_ring(ring: IoUring, wake: RawFd, poll_ns: u64) -> Result<Self> {
        let parameters = ring.params();
        let fit = parameters.is_feature_nodrop()
            && parameters.is_feature_submit_stable()
            && parameters.is_feature_ext_arg()
            && parameters.is_feature_skip_cqe_on_success();
        if !fit {
            return Err(unavailable("this kernel's is too old (5.19 or later is needed)"));
        }
        Ok(Uring {
            ring,
            wake,
            wake_value: Box::new(0),
            wake_armed: false,
            quick: Vec::with_capacity(1024),
            owed: 0,
            spin: Spin::new(poll_ns),
        })
    }

    /// Adds an entry to the submission queue; submits first when the queue is full.
    fn push(&mut self, entry: &squeue::Entry, owed: u32) {
        // SAFETY: every entry points to memory that outlives its request: ops are boxed and not reused before their
        // completion, the core's memory is referenced, and `close` waits for ops in progress.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.submit();
        }
        self.owed += owed;
    }

    /// Submits everything queued to the kernel, without waiting.
    pub fn submit(&mut self) {
        while !self.ring.submission().is_empty() {
            // A failure here is EINTR, EAGAIN or EBUSY, all of which are temporary.
            let _ = self.enter(0, 0, None);
        }
    }

    /// Starts or continues a RECV or SEND.
    pub fn start(&mut self, ops: &mut Ops, index: u32, fd: RawFd) {
        let op = ops.get(index);
        let token = FOR_OP | u64::from(index);
        if op.kind == Kind::Recv {
            op.stage = Stage::Started;
            let flags = if op.wait_all { libc::MSG_WAITALL } else { 0 };
            let (buffer, bytes) = op.rest();
            self.push(&opcode::Recv::new(Fd(fd), buffer, bytes).flags(flags).build().user_data(token), 1);
            return;
        }
        let flags = (libc::MSG_NOSIGNAL | libc::MSG_WAITALL).cast_unsigned();
        if op.stage == Stage::Queued {
            // First attempt: almost every SEND fits into the socket's buffer. The kernel tries it once while it takes
            // the entry; with MSG_DONTWAIT it never waits. So if no completion says otherwise when `io_uring_enter`
            // returns, all bytes are sent. This saves a completion, and with it a turn.
            op.stage = Stage::Quick;
            let entry = opcode::SendMsg::new(Fd(fd), op.message()).flags(flags | libc::MSG_DONTWAIT.cast_unsigned());
            self.push(&entry.build().flags(squeue::Flags::SKIP_SUCCESS).user_data(token), 0);
            self.quick.push(index);
        } else {
            op.stage = Stage::Started;
            self.push(&opcode::SendMsg::new(Fd(fd), op.message()).flags(flags).build().user_data(token), 1);
        }
    }

    /// Asks for a notification each time that `fd` has become readable.
    pub fn watch_port(&mut self, fd: RawFd, token: u64) {
        let entry = opcode::PollAdd::new(Fd(fd), libc::POLLIN as u32).multi(true).build();
        self.push(&entry.user_data(FOR_PORT | token), 1);
    }

    pub fn unwatch_port(&mut self, token: u64) {
        self.push(&opcode::AsyncCancel::new(FOR_PORT | token).build().user_data(FOR_CANCEL), 1);
    }

    /// What was cancelled lets go of its files now: its end is work that the kernel leaves to us.
    pub fn settle(&mut self) {
        self.submit();
        let _ = self.enter(0, ENTER_GETEVENTS, None);
    }

    /// Asks for a notification when the peer of the socket at `index` has closed it.
    pub fn watch(&mut self, fd: RawFd, index: u32) {
        // No events are requested: POLLHUP, POLLERR and POLLRDHUP are always reported.
        let entry = opcode::PollAdd::new(Fd(fd), 0).build();
        self.push(&entry.user_data(FOR_WATCH | u64::from(index)), 1);
    }

    /// Gives the ublk driver a command; it ends when there is a request for its tag.
    pub fn ublk(&mut self, fd: RawFd, operation: u32, command: [u8; 16], token: u32) {
        let entry = opcode::UringCmd16::new(Fd(fd), operation).cmd(command).build();
        self.push(&entry.user_data(FOR_UBLK | u64::from(token)), 0);
    }

    /// Asks for one notification when a TCMU device has news.
    pub fn poll_uio(&mut self, fd: RawFd, token: u32) {
        let entry = opcode::PollAdd::new(Fd(fd), libc::POLLIN as u32).build();
        self.push(&entry.user_data(FOR_UIO | u64::from(token)), 1);
    }

    /// Withdraws that, at once: the kernel holds the device as long as it looks for news.
    pub fn cancel_uio(&mut self, token: u32) {
        self.push(&opcode::AsyncCancel::new(FOR_UIO | u64::from(token)).build().user_data(FOR_CANCEL), 1);
        self.submit();
    }

    /// True when a SEND of this turn has to be reported before waiting.
    pub fn must_report(&mut self, ops: &mut Ops) -> bool {
        self.quick.iter().any(|&index| !ops.get(index).lazy)
    }

    /// Submits, waits as specified, and stores the events in `events`.
    pub fn turn(&mut self, ops: &mut Ops, wait: Wait, events: &mut Vec<Event>) -> Result<()> {
        if !self.wake_armed {
            self.wake_armed = true;
            let value: *mut u64 = &raw mut *self.wake_value;
            let entry = opcode::Read::new(Fd(self.wake), value.cast(), 8).build();
            self.push(&entry.user_data(FOR_WAKE), 1);
        }
        let entered = match wait {
            Wait::No => self.enter_without_waiting(),
            Wait::Forever => self.wait(u64::MAX),
            Wait::Until(limit_ns) => self.wait(limit_ns),
        };
        match entered {
            Ok(()) | Err(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY) => {}
            Err(errno) => return Err(system("io_uring_enter", errno)),
        }
        self.submit();
        self.reap(ops, events);
        Ok(())
    }

    /// Submits, and waits for a completion until `limit_ns` (u64::MAX: without limit).
    fn wait(&mut self, limit_ns: u64) -> std::result::Result<(), i32> {
        // Replies that may be reported late are lone ones: their clients had no other request in flight. For others
        // there is nothing to poll for, and no clock to read.
        if self.quick.is_empty() {
            return self.sleep(limit_ns);
        }
        let start_ns = now_ns();
        let entered = self.wait_after_lone(start_ns, limit_ns);
        self.spin.waited(now_ns() - start_ns);
        entered
    }

    fn wait_after_lone(&mut self, start_ns: u64, limit_ns: u64) -> std::result::Result<(), i32> {
        if self.spin.worth(start_ns) && self.busy_poll(start_ns, limit_ns)? {
            return self.enter_without_waiting();
        }
        self.sleep(limit_ns)
    }

    fn sleep(&mut self, limit_ns: u64) -> std::result::Result<(), i32> {
        if limit_ns == u64::MAX {
            return self.enter(1, ENTER_GETEVENTS, None);
        }
        let rest_ns = limit_ns.saturating_sub(now_ns());
        let rest = Timespec::new().sec(rest_ns / 1_000_000_000).nsec((rest_ns % 1_000_000_000) as u32);
        self.enter(1, ENTER_GETEVENTS, Some(&rest))
    }

    /// Submits, then busy-polls for a completion; returns whether there is one, or work that leads to one.
    fn busy_poll(&mut self, start_ns: u64, limit_ns: u64) -> std::result::Result<bool, i32> {
        self.enter_without_waiting()?;
        let ring = &mut self.ring;
        Ok(self.spin.poll(start_ns, limit_ns, || {
            let mut completions = ring.completion();
            completions.sync();
            let any = !completions.is_empty();
            drop(completions);
            any || ring.submission().taskrun()
        }))
    }

    fn enter_without_waiting(&mut self) -> std::result::Result<(), i32> {
        let queue = self.ring.submission();
        let (pending, work) = (!queue.is_empty(), queue.taskrun() || queue.cq_overflow());
        drop(queue);
        if pending || work { self.enter(0, if work { ENTER_GETEVENTS } else { 0 }, None) } else { Ok(()) }
    }

    /// One system call: submits everything queued and waits for `wanted` completions, at most as long as `rest`.
    fn enter(&mut self, wanted: u32, flags: u32, rest: Option<&Timespec>) -> std::result::Result<(), i32> {
        let pending = self.ring.submission().len() as u32;
        let submitter = self.ring.submitter();
        let result = match rest {
            Some(rest) => {
                let arguments = SubmitArgs::new().timespec(rest);
                // SAFETY: the flags match the argument's type, which lives over the call.
                unsafe { submitter.enter(pending, wanted, flags | ENTER_EXT_ARG, Some(&arguments)) }
            }
            // SAFETY: no argument is passed.
            None => unsafe { submitter.enter::<libc::sigset_t>(pending, wanted, flags, None) },
        };
        result.map(|_| ()).map_err(|reason| reason.raw_os_error().unwrap_or(libc::EIO))
    }

    /// Moves the available completions into `events`.
    fn reap(&mut self, ops: &mut Ops, events: &mut Vec<Event>) {
        let mut queue = self.ring.completion();
        queue.sync();
        for entry in queue {
            let token = entry.user_data();
            let index = token as u32;
            let quick = token & !0xffff_ffff == FOR_OP && ops.get(index).stage == Stage::Quick;
            // A quick SEND completes only on failure; no completion was expected for it.
            if quick {
                ops.get(index).stage = Stage::Started;
            } else if !cqueue::more(entry.flags()) && token & !0xffff_ffff != FOR_UBLK {
                self.owed -= 1;
            }
            match token & !0xffff_ffff {
                FOR_OP => events.push(Event::Op { index, result: entry.result() }),
                FOR_WAKE => {
                    self.wake_armed = false;
                    if entry.result() == 8 {
                        events.push(Event::Wake);
                    }
                }
                FOR_UBLK => events.push(Event::Ublk { token: index, result: entry.result() }),
                FOR_UIO => events.push(Event::Uio { token: index, gone: is_gone(entry.result()) }),
                FOR_WATCH => events.push(Event::HungUp { index, gone: is_gone(entry.result()) }),
                _ if token & FOR_PORT != 0 && entry.result() != -libc::ECANCELED => {
                    let (gone, ended) = (is_gone(entry.result()), !cqueue::more(entry.flags()));
                    events.push(Event::Readable(Readable { token: token & !FOR_PORT, gone, ended }));
                }
                _ => {}
            }
        }
        // Every entry submitted before was consumed, so a SEND that is still `Quick` is completely sent.
        for index in self.quick.drain(..) {
            let op = ops.get(index);
            if op.stage == Stage::Quick {
                op.stage = Stage::Started;
                events.push(Event::Op { index, result: (op.length - op.done).cast_signed() });
            }
        }
    }

    /// Cancels everything in progress and waits until the kernel has finished with it or `limit_ns` is reached. Returns
    /// whether the kernel has finished: if not, memory that it may still write to must not be freed.
    pub fn drain(&mut self, ops: &mut Ops, events: &mut Vec<Event>, limit_ns: u64) -> bool {
        self.submit();
        let cancel = opcode::AsyncCancel2::new(io_uring::types::CancelBuilder::any()).build();
        self.push(&cancel.user_data(FOR_CANCEL), 1);
        while self.owed > 0 && now_ns() < limit_ns {
            events.clear();
            let rest = Timespec::new().nsec(50_000_000);
            let _ = self.enter(1, ENTER_GETEVENTS, Some(&rest));
            self.reap(ops, events);
        }
        self.owed == 0
    }
}

/// Whether the result of a poll means that the device, or the peer, is gone.
fn is_gone(result: i32) -> bool {
    result < 0 || result & i32::from(libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0
}
