//! Ports: how SCSI commands reach a device. Those that the kit has; for your own see [`crate::Host::raw`].

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::io;
use std::ptr::NonNull;
use std::rc::Rc;

use crate::error::{Error, checked};
use crate::sys;

/// What C has at a port: C says how large it is, and keeps its address.
struct Block {
    at: NonNull<u8>,
    layout: Layout,
}

impl Block {
    fn new(bytes: usize) -> Result<Self, Error> {
        let layout = Layout::from_size_align(bytes, 16).map_err(|_| Error::MEMORY)?;
        if bytes == 0 {
            return Err(Error::MEMORY);
        }
        // SAFETY: the layout is not empty.
        let at = unsafe { alloc_zeroed(layout) };
        NonNull::new(at).map_or_else(|| handle_alloc_error(layout), |at| Ok(Self { at, layout }))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and nobody else frees it.
        unsafe { dealloc(self.at.as_ptr(), self.layout) }
    }
}

/// An emulated disk, for any number of [`MemoryPort`]s.
pub struct Disk {
    // C writes into the data through this pointer, and nobody has a reference to either.
    disk: UnsafeCell<sys::pm_disk>,
    bytes: usize,
}

impl Disk {
    /// A disk full of zeroes; blocks have 512 or 4096 bytes.
    ///
    /// # Errors
    /// [`Error::ARGUMENT`]: no blocks, blocks of another size, or more than can be addressed.
    pub fn new(blocks: u64, block_bytes: u32) -> Result<Rc<Self>, Error> {
        let bytes = blocks.checked_mul(u64::from(block_bytes)).and_then(|bytes| usize::try_from(bytes).ok());
        let bytes = bytes.filter(|bytes| *bytes > 0 && matches!(block_bytes, 512 | 4096)).ok_or(Error::ARGUMENT)?;
        let data = Box::into_raw(vec![0_u8; bytes].into_boxed_slice());
        Ok(Rc::new(Self { disk: UnsafeCell::new(sys::pm_disk { data: data.cast(), blocks, block_bytes }), bytes }))
    }

    /// The identity that its ports show, for [`crate::UnitConfig`].
    #[must_use]
    pub fn identity() -> &'static [u8] {
        // SAFETY: a constant of the library.
        unsafe { &sys::pm_memory_identity }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let data = std::ptr::slice_from_raw_parts_mut(self.disk.get_mut().data, self.bytes);
        // SAFETY: it came from a box of this length, and no port is left that leads here: each keeps a count of the disk.
        drop(unsafe { Box::from_raw(data) });
    }
}

/// How an emulated port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryFault {
    /// It works.
    Well,
    /// Every command ends at once: there is no connection.
    Dead,
    /// No command is answered before its time is over.
    Silent,
}

/// A port to an emulated disk.
pub struct MemoryPort {
    block: Block,
    _disk: Rc<Disk>,
}

impl MemoryPort {
    /// Its commands take `latency_ns`; 0: they end within the turn that sends them.
    ///
    /// # Errors
    /// [`Error::MEMORY`]: the library has no such port.
    pub fn new(disk: &Rc<Disk>, latency_ns: u64) -> Result<Self, Error> {
        // SAFETY: a constant of the library.
        let block = Block::new(unsafe { sys::pm_memory_port_bytes })?;
        let port = block.at.as_ptr().cast::<sys::pm_memory_port>();
        // SAFETY: the block is as large as C says the port is; the disk outlives it by its count.
        checked(unsafe { sys::pm_memory_port_init(port, disk.disk.get()) })?;
        // SAFETY: a member of the port, which only this value knows.
        unsafe { (*port).latency_ns = latency_ns };
        Ok(Self { block, _disk: Rc::clone(disk) })
    }

    pub(crate) fn set_fault(&self, fault: MemoryFault) {
        let port = self.block.at.as_ptr().cast::<sys::pm_memory_port>();
        let number = match fault {
            MemoryFault::Well => 0,
            MemoryFault::Dead => 1,
            MemoryFault::Silent => 2,
        };
        // SAFETY: a member of the port; C looks at it within calls only, and none is under way: all come from this thread.
        unsafe { (*port).fault = number };
    }
}

/// A port to a device of Linux's SCSI generic driver.
pub struct SgPort {
    block: Block,
}

impl SgPort {
    /// Opens `/dev/sgN` for up to `depth` commands (1..128; the path gets one less).
    ///
    /// # Errors
    /// What the system says of the device; `EINVAL` for a depth outside its range.
    pub fn open(device: &CStr, depth: u32) -> io::Result<Self> {
        // SAFETY: a constant of the library.
        let block = Block::new(unsafe { sys::pm_sg_port_bytes }).map_err(io::Error::other)?;
        // SAFETY: the block is as large as C says the port is; the name ends with a zero.
        let answer = unsafe { sys::pm_sg_open(block.at.as_ptr().cast(), device.as_ptr(), depth) };
        if answer < 0 {
            return Err(io::Error::from_raw_os_error(-answer));
        }
        Ok(Self { block })
    }
}

impl Drop for SgPort {
    fn drop(&mut self) {
        // SAFETY: it was opened. The kernel copies data in when a command is sent and out when it is read, so that no
        // command still under way touches the memory.
        unsafe { sys::pm_sg_close(self.block.at.as_ptr().cast()) }
    }
}

/// A port as a path takes it.
pub enum Port {
    /// To an emulated disk.
    Memory(MemoryPort),
    /// To a device of SCSI generic.
    Sg(SgPort),
}

impl Port {
    pub(crate) fn at(&self) -> *mut sys::pm_port {
        match self {
            Self::Memory(port) => port.block.at.as_ptr().cast(),
            Self::Sg(port) => port.block.at.as_ptr().cast(),
        }
    }

    pub(crate) fn sg(&self) -> Option<*mut sys::pm_sg_port> {
        match self {
            Self::Memory(_) => None,
            Self::Sg(port) => Some(port.block.at.as_ptr().cast()),
        }
    }
}

impl From<MemoryPort> for Port {
    fn from(port: MemoryPort) -> Self {
        Self::Memory(port)
    }
}

impl From<SgPort> for Port {
    fn from(port: SgPort) -> Self {
        Self::Sg(port)
    }
}

/// `CLOCK_MONOTONIC` in ns.
#[must_use]
pub fn clock_ns() -> u64 {
    // SAFETY: it only reads the clock.
    unsafe { sys::pm_clock_ns() }
}
