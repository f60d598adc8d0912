//! The I/O ring: sockets and SCSI generic ports, driven by the rings in the core's memory.

mod backend;
mod engine;
mod epoll;
mod event;
mod op;
mod ports;
mod queues;
mod reset;
mod sockets;
mod uring;

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::error::{Code, Result, errno, error, system};
use crate::memory::CoreMemory;
use crate::ring::engine::Engine;

/// How a ring talks to the kernel.
#[napi(object)]
pub struct RingOptions {
    /// "io_uring" throws ERR_NATIVE_URING_UNAVAILABLE where it is forbidden; "auto" takes "epoll" there.
    #[napi(ts_type = "'auto' | 'io_uring' | 'epoll'")]
    pub backend: String,
}

/// The I/O ring of one core. It belongs to the thread that made it.
#[napi]
pub struct Ring {
    engine: Option<Engine>,
}

#[napi]
impl Ring {
    /// Makes a ring over the memory of a core whose control block is at `controlBlock`.
    #[napi(constructor, catch_unwind)]
    pub fn new(memory: Uint8Array, control_block: u32, options: RingOptions) -> Result<Self> {
        let memory = CoreMemory::new(memory)?;
        Ok(Ring { engine: Some(Engine::open(memory, control_block, &options.backend)?) })
    }

    fn engine(&mut self) -> Result<&mut Engine> {
        self.engine.as_mut().ok_or_else(|| error(Code::Closed, "ring: is closed"))
    }

    /// The backend in use.
    #[napi(getter, catch_unwind, ts_return_type = "'io_uring' | 'epoll'")]
    pub fn backend(&mut self) -> Result<&'static str> {
        Ok(self.engine()?.backend_name())
    }

    /// The descriptor that `wake` takes.
    #[napi(getter, catch_unwind)]
    pub fn wake_descriptor(&mut self) -> Result<i32> {
        Ok(self.engine()?.wake_descriptor())
    }

    /// Takes a connected stream socket over (it is the ring's to close from now on) and answers its handle.
    #[napi(catch_unwind)]
    pub fn add_socket(&mut self, fd: i32) -> Result<u32> {
        self.engine()?.add_socket(fd)
    }

    /// Opens a SCSI generic device (/dev/sgN) as a port that has up to `depth` commands (1..1024) at the device at once;
    /// answers its handle. Throws ERR_NATIVE_NOT_SCSI_GENERIC when it is none, ERR_NATIVE_SYSTEM when it cannot be opened.
    #[napi(catch_unwind)]
    pub fn open_port(&mut self, device: String, depth: u32) -> Result<u32> {
        self.engine()?.open_port(&device, depth)
    }

    /// Makes a port of descriptors at whose other ends somebody plays an sg device: reads a header (struct sg_io_hdr),
    /// writes it back with what came of it. One per 16 of `depth`. The ring takes them over.
    #[napi(catch_unwind)]
    pub fn adopt_port(&mut self, descriptors: Vec<i32>, depth: u32) -> Result<u32> {
        self.engine()?.adopt_port(&descriptors, depth)
    }

    /// Closes a port. Commands that wait in the ring end with -ENODEV, those the device has come back first.
    #[napi(catch_unwind)]
    pub fn close_port(&mut self, port: u32) -> Result<()> {
        self.engine()?.close_port(port)
    }

    /// One turn: takes what the core has queued, waits until something has completed, `wake` was called, the core's
    /// deadline has come or `maxWaitMicroseconds` are over (negative: no such limit; 0: does not wait), stores
    /// completions and CONTROL_NOW_NS. Answers 1 when it was woken, else 0.
    #[napi(catch_unwind)]
    pub fn enter(&mut self, max_wait_microseconds: i32) -> Result<i32> {
        Ok(i32::from(self.engine()?.enter(max_wait_microseconds)?))
    }

    /// Closes every socket, ends what is under way and frees everything. Closing twice does no harm.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        if let Some(mut engine) = self.engine.take()
            && !engine.close()
        {
            // The kernel may still write to what the engine owns. Losing the memory is the smaller evil.
            std::mem::forget(engine);
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.close();
    }
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
