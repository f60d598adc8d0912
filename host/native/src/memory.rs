//! The core's linear memory: every address from the core is checked here before it is used.

use napi::bindgen_prelude::Uint8Array;

use crate::error::{Code, Result, error};

/// The core's memory. Holds a reference to the Uint8Array, so the memory lives as long as this object.
pub struct CoreMemory {
    base: *mut u8,
    bytes: usize,
    /// Never read; dropping it returns the memory to JavaScript.
    _array: Uint8Array,
}

impl CoreMemory {
    pub fn new(mut array: Uint8Array) -> Result<Self> {
        // SAFETY: only the address is taken. The core and the host never run at the same time (see abi.ts).
        let slice = unsafe { array.as_mut() };
        let (base, bytes) = (slice.as_mut_ptr(), slice.len());
        if bytes == 0 {
            return Err(error(
                Code::Argument,
                "memory: is empty; pass a Uint8Array over the whole memory of an initialised core",
            ));
        }
        Ok(CoreMemory { base, bytes, _array: array })
    }

    /// Asks for huge pages, because every I/O touches several places far apart. See `prefer_huge_pages`.
    pub fn prefer_huge_pages(&self) {
        prefer_huge_pages(self.base, self.bytes);
    }

    /// Pointer to `bytes` bytes at `address`; none when they are not within the memory.
    #[inline]
    pub fn range(&self, address: u32, bytes: u32) -> Option<*mut u8> {
        let end = address as usize + bytes as usize;
        if end > self.bytes {
            return None;
        }
        // SAFETY: address <= end <= self.bytes, so the result stays within (or one past) the allocation.
        Some(unsafe { self.base.add(address as usize) })
    }

    /// The u32 at `address`; none when it is outside.
    #[inline]
    pub fn load_u32(&self, address: u32) -> Option<u32> {
        let at = self.range(address, 4)?;
        // SAFETY: `range` has checked that four bytes are there; they need not be aligned.
        Some(u32::from_le(unsafe { at.cast::<u32>().read_unaligned() }))
    }

    #[inline]
    pub fn store_u32(&self, address: u32, value: u32) -> Option<()> {
        let at = self.range(address, 4)?;
        // SAFETY: as in `load_u32`.
        unsafe { at.cast::<u32>().write_unaligned(value.to_le()) };
        Some(())
    }

    #[inline]
    pub fn load_u64(&self, address: u32) -> Option<u64> {
        let at = self.range(address, 8)?;
        // SAFETY: `range` has checked that eight bytes are there; they need not be aligned.
        Some(u64::from_le(unsafe { at.cast::<u64>().read_unaligned() }))
    }

    #[inline]
    pub fn store_u64(&self, address: u32, value: u64) -> Option<()> {
        let at = self.range(address, 8)?;
        // SAFETY: as in `load_u64`.
        unsafe { at.cast::<u64>().write_unaligned(value.to_le()) };
        Some(())
    }
}

const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Asks the kernel to back the memory with huge pages where possible: fewer page-table walks, which are most expensive
/// in a virtual machine. A refusal (huge pages are off) is harmless.
pub fn prefer_huge_pages(base: *mut u8, bytes: usize) {
    let lead = base.addr().next_multiple_of(HUGE_PAGE_BYTES) - base.addr();
    let whole = bytes.saturating_sub(lead) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    if whole > 0 {
        // SAFETY: lead + whole <= bytes, so the advice concerns this memory only, and it changes no content.
        unsafe { libc::madvise(base.add(lead).cast(), whole, libc::MADV_HUGEPAGE) };
    }
}
