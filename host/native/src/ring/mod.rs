//! The I/O ring: sockets and SCSI generic ports, driven by the rings in the core's memory.

mod backend;
mod budget;
mod cdb;
mod command;
mod descriptors;
mod desk;
mod device;
mod door;
mod engine;
mod epoll;
mod event;
mod left;
mod op;
mod ports;
mod queues;
mod reset;
mod sockets;
mod spin;
mod targets;
mod tcmu;
mod tcmu_ring;
mod turns;
mod ublk;
mod uring;

use std::cell::RefCell;
use std::mem::ManuallyDrop;

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::error::{Code, Result, errno, error, system};
use crate::memory::CoreMemory;
use crate::registry::Registry;
use crate::ring::engine::Engine;
use crate::ring::ublk::{Part, Scattered, Served};

/// Default of `pollUs`, and its largest value.
const POLL_US: u32 = 50;
const POLL_US_MAX: u32 = 1000;

/// How a ring communicates with the kernel.
#[napi(object)]
pub struct RingOptions {
    /// "io_uring" throws ERR_NATIVE_URING_UNAVAILABLE where it is forbidden; "auto" then uses "epoll".
    #[napi(ts_type = "'auto' | 'io_uring' | 'epoll'")]
    pub backend: String,
    /// How long the ring busy-polls for the next request after a lone reply before it sleeps, in microseconds, 0 to
    /// 1000; 0: never. Default 50. With epoll it never does.
    pub poll_us: Option<u32>,
}

/// How long turns took since the ring was opened: from the end of one wait to the beginning of the next.
#[napi(object)]
pub struct RingTurns {
    /// Together, in nanoseconds.
    pub busy_ns: f64,
    /// Longest time of the first class in nanoseconds; each further one is twice as long, and the last is open.
    pub first_class_ns: f64,
    /// Turns in each class.
    pub counts: Vec<f64>,
}

/// A ublk device to be served by the ring.
#[napi(object)]
pub struct UblkToServe {
    /// N of /dev/ublkcN.
    pub index: u32,
    /// Requests that its one queue takes at once.
    pub depth: u32,
    /// Of the core's block door.
    pub client: u32,
    /// As `ublkStatus` says.
    pub user_copy: bool,
}

/// A READ of a ublk device whose data only the core can find.
#[napi(object)]
pub struct ScatteredRead {
    pub tag: u32,
    pub bytes: u32,
}

/// An engine that finishes its ops in progress before it is freed.
struct Owned(ManuallyDrop<Engine>);

impl Drop for Owned {
    fn drop(&mut self) {
        if self.0.close() {
            // SAFETY: this is the only place where it is dropped, and it is not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        }
        // Otherwise the kernel may still write to memory that the engine owns. Leaking it is the smaller evil.
    }
}

thread_local! {
    static ENGINES: RefCell<Registry<Owned>> = const { RefCell::new(Registry::new()) };
}

/// Runs `step` on the engine with this token.
fn with_engine<T>(token: u32, step: impl FnOnce(&mut Engine) -> Result<T>) -> Result<T> {
    ENGINES.with_borrow_mut(|engines| match engines.get(token) {
        Some(engine) => step(&mut engine.0),
        None => Err(error(Code::Closed, "ring: is closed")),
    })
}

/// The I/O ring of one core. It belongs to the thread that created it. (index.ts adds `enter`.)
#[napi]
pub struct Ring {
    token: u32,
}

#[napi]
impl Ring {
    /// Creates a ring over the memory of a core whose control block is at `controlBlock`.
    #[napi(constructor, catch_unwind)]
    pub fn new(memory: Uint8Array, control_block: u32, options: RingOptions) -> Result<Self> {
        let memory = CoreMemory::new(memory)?;
        let poll_us = options.poll_us.unwrap_or(POLL_US);
        if poll_us > POLL_US_MAX {
            return Err(error(Code::Argument, format!("pollUs: {poll_us} is more than {POLL_US_MAX}")));
        }
        let engine = Engine::open(memory, control_block, &options.backend, u64::from(poll_us) * 1000)?;
        let token = ENGINES.with_borrow_mut(|engines| engines.insert(Owned(ManuallyDrop::new(engine))));
        token.map(|token| Ring { token }).ok_or_else(|| error(Code::Limit, "ring: too many rings in this thread"))
    }

    /// The number that identifies this ring to `ring_enter`.
    #[napi(getter, catch_unwind)]
    pub fn token(&self) -> u32 {
        self.token
    }

    /// The backend in use.
    #[napi(getter, catch_unwind, ts_return_type = "'io_uring' | 'epoll'")]
    pub fn backend(&self) -> Result<&'static str> {
        with_engine(self.token, |engine| Ok(engine.backend_name()))
    }

    /// The descriptor to pass to `wake`.
    #[napi(getter, catch_unwind)]
    pub fn wake_descriptor(&self) -> Result<i32> {
        with_engine(self.token, |engine| Ok(engine.wake_descriptor()))
    }

    /// How long turns took.
    #[napi(catch_unwind)]
    pub fn turns(&self) -> Result<RingTurns> {
        with_engine(self.token, |engine| {
            let turns = &engine.turns;
            let counts = turns.counts.iter().map(|&count| count as f64).collect();
            let first_class_ns = (1u64 << turns::FIRST_OCTAVE) as f64;
            Ok(RingTurns { busy_ns: turns.busy_ns as f64, first_class_ns, counts })
        })
    }

    /// How often the kernel refused ports another descriptor: their commands then share the ones they have.
    #[napi(getter, catch_unwind)]
    pub fn descriptor_refusals(&self) -> Result<f64> {
        with_engine(self.token, |engine| Ok(engine.descriptor_refusals() as f64))
    }

    /// Takes ownership of a connected stream socket (the ring closes it from now on) and returns its handle.
    #[napi(catch_unwind)]
    pub fn add_socket(&self, fd: i32) -> Result<u32> {
        with_engine(self.token, |engine| engine.add_socket(fd))
    }

    /// Opens a SCSI generic device (/dev/sgN) as a port with up to `depth` commands (1..1024) in flight at the device;
    /// returns its handle. Throws ERR_NATIVE_NOT_SCSI_GENERIC when it is not such a device, ERR_NATIVE_SYSTEM when it
    /// cannot be opened.
    #[napi(catch_unwind)]
    pub fn open_port(&self, device: String, depth: u32) -> Result<u32> {
        with_engine(self.token, |engine| engine.open_port(&device, depth))
    }

    /// Creates a port from descriptors at whose other ends a process emulates an sg device: it reads a header (struct
    /// sg_io_hdr) and writes it back with the result. At least one descriptor per 16 of `depth`, and at most one for
    /// each. The ring takes ownership of them.
    #[napi(catch_unwind)]
    pub fn adopt_port(&self, descriptors: Vec<i32>, depth: u32) -> Result<u32> {
        with_engine(self.token, |engine| engine.adopt_port(&descriptors, depth))
    }

    /// Limits an open port to `depth` commands in flight at the device from now on, at most as many as it was opened
    /// for. Commands already at the device are not taken back.
    #[napi(catch_unwind)]
    pub fn port_depth(&self, port: u32, depth: u32) -> Result<()> {
        with_engine(self.token, |engine| engine.set_port_depth(port, depth))
    }

    /// Closes a port. Commands that wait in the ring end with -ENODEV; those at the device complete first.
    #[napi(catch_unwind)]
    pub fn close_port(&self, port: u32) -> Result<()> {
        with_engine(self.token, |engine| engine.close_port(port))
    }

    /// Serves a ublk device for a client of the core's block door, which has `tagLimit` tags. Its requests arrive as
    /// entries of the door from then on. Call it before the device is started. `nextEndedUblk` says when it has ended.
    /// Throws ERR_NATIVE_UBLK_UNAVAILABLE without io_uring.
    #[napi(catch_unwind)]
    pub fn add_ublk(&self, device: UblkToServe, tag_limit: u32) -> Result<u32> {
        let UblkToServe { index, depth, client, user_copy } = device;
        with_engine(self.token, |engine| engine.add_ublk(&Served { index, depth, client, user_copy }, tag_limit))
    }

    /// From now on no request of a ublk device is answered: the driver hands them to the next server.
    #[napi(catch_unwind)]
    pub fn leave_ublks(&self) -> Result<()> {
        with_engine(self.token, |engine| {
            engine.leave_ublks();
            Ok(())
        })
    }

    /// The client of a ublk device that has ended, each once.
    #[napi(catch_unwind)]
    pub fn next_ended_ublk(&self) -> Result<Option<u32>> {
        with_engine(self.token, |engine| Ok(engine.next_ended_ublk()))
    }

    /// A READ of a ublk device whose data lies in several places, each once.
    #[napi(catch_unwind)]
    pub fn next_scattered(&self) -> Result<Option<ScatteredRead>> {
        with_engine(self.token, |engine| {
            Ok(engine.next_scattered().map(|Scattered { tag, bytes }| ScatteredRead { tag, bytes }))
        })
    }

    /// Copies `bytes` bytes at `address` to byte `at` of that READ.
    #[napi(catch_unwind)]
    pub fn copy_part(&self, tag: u32, at: u32, address: u32, bytes: u32) -> Result<()> {
        with_engine(self.token, |engine| engine.copy_part(Part { tag, at, address, bytes }))
    }

    /// Answers that READ: 0, or an errno.
    #[napi(catch_unwind)]
    pub fn end_scattered(&self, tag: u32, errno: i32) -> Result<()> {
        with_engine(self.token, |engine| engine.end_scattered(tag, errno))
    }

    /// Closes every socket, ends ops in progress and frees everything. May be called again.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        // Fails only while the thread ends, after the table and all its engines are gone.
        let taken = ENGINES.try_with(|engines| engines.try_borrow_mut().ok()?.remove(self.token));
        drop(taken);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.close();
    }
}

/// One turn: takes the core's submissions, waits until something has completed, `wake` was called, the core's deadline
/// is reached or `maxWaitMicroseconds` have passed (negative: no such limit; 0: does not wait), then stores completions
/// and CONTROL_NOW_NS. Returns the sum of 1: it was woken; 2: `nextEndedUblk` or `nextScattered` has something.
pub fn enter(token: u32, max_wait_microseconds: i32) -> Result<i32> {
    with_engine(token, |engine| engine.enter(max_wait_microseconds))
}

/// Wakes the ring whose `wakeDescriptor` this is, from any thread.
#[napi(catch_unwind)]
pub fn wake(descriptor: i32) -> Result<()> {
    let one = 1u64;
    // SAFETY: `one` has the eight bytes that an eventfd takes.
    if unsafe { libc::write(descriptor, (&raw const one).cast(), 8) } != 8 {
        return Err(system(format!("wake: descriptor {descriptor}"), errno()));
    }
    Ok(())
}
