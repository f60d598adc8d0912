//! The data of an emulated unit: anonymous memory, memory that several threads open by a name, or a sparse file, in blocks
//! of 512 bytes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::error::{Code, Result, errno, error, system};
use crate::memory::{CoreMemory, prefer_huge_pages};
use crate::registry::Registry;
use crate::written::Written;

/// Bytes of a block, whatever block size the emulated unit reports.
const BLOCK_BYTES: u64 = 512;
/// Largest medium: its bytes fit an off_t, and JavaScript represents its block count exactly.
const BLOCKS_MAX: f64 = (1u64 << 43) as f64;
const PAGE_BYTES: usize = 4096;
/// From this size on, a medium in memory asks for huge pages. Smaller ones do not: there are many of them, and a huge
/// page for every few written blocks would cost more memory than it saves time.
const HUGE_PAGES_BYTES_MIN: usize = 128 << 20;

enum Store {
    Memory { base: *mut u8, bytes: usize, written: Written },
    Sparse(Arc<File>),
}

/// Errno of a failed copy, which touched nothing outside the medium and the core's memory.
type Outcome = std::result::Result<(), i32>;

/// A medium's bytes. Every copy returns 0 or a negated errno: -EFAULT when the address is outside the bound memory,
/// -ERANGE when the blocks are outside the medium, -EBADF after `close` or before `bind`, -EIO, -ENOSPC.
struct Medium {
    store: Store,
    blocks: u64,
    memory: Option<CoreMemory>,
}

impl Medium {
    fn read(&self, address: u32, block: f64, blocks: u32) -> Outcome {
        let (at, offset, bytes) = self.locate(address, block, blocks)?;
        match &self.store {
            Store::Memory { base, .. } => {
                // SAFETY: `locate` has checked both ranges, and our mappings never overlap the core's memory.
                unsafe { ptr::copy_nonoverlapping(base.add(offset as usize), at, bytes) };
                Ok(())
            }
            Store::Sparse(file) => read_file(file, at, offset, bytes),
        }
    }

    fn write(&mut self, address: u32, block: f64, blocks: u32) -> Outcome {
        let (at, offset, bytes) = self.locate(address, block, blocks)?;
        match &mut self.store {
            Store::Memory { base, written, .. } => {
                // SAFETY: as in `read`.
                unsafe { ptr::copy_nonoverlapping(at, base.add(offset as usize), bytes) };
                written.mark(offset as usize, bytes);
                Ok(())
            }
            Store::Sparse(file) => write_file(file, at, offset, bytes),
        }
    }

    fn fill(&mut self, address: u32, block: f64, blocks: u32) -> Outcome {
        self.extent(block, blocks)?;
        (0..blocks).try_for_each(|index| self.write(address, block + f64::from(index), 1))
    }

    fn discard(&mut self, block: f64, blocks: u32) -> Outcome {
        let (offset, bytes) = self.extent(block, blocks)?;
        match &mut self.store {
            Store::Memory { base, written, .. } => {
                discard_memory(*base, offset as usize, bytes)?;
                written.clear(offset as usize, bytes);
                Ok(())
            }
            Store::Sparse(file) => discard_file(file, offset, bytes),
        }
    }

    /// Number of bytes from `block` on, within `blocks` blocks, that are all written or all unwritten, and which of the
    /// two.
    fn run(&self, block: f64, blocks: u32) -> std::result::Result<(usize, bool), i32> {
        let (offset, bytes) = self.extent(block, blocks)?;
        match &self.store {
            Store::Memory { written, .. } => Ok(written.run(offset as usize, bytes)),
            Store::Sparse(file) => run_of_file(file, offset, bytes),
        }
    }

    fn flush(&self) -> Outcome {
        match &self.store {
            Store::Memory { .. } => Ok(()),
            Store::Sparse(file) => file.sync_data().map_err(|reason| reason.raw_os_error().unwrap_or(libc::EIO)),
        }
    }

    /// Offset and length in bytes of the blocks, if they lie within the medium.
    fn extent(&self, block: f64, blocks: u32) -> std::result::Result<(u64, usize), i32> {
        // A float-to-integer cast saturates; a number that is not whole or not in range differs from its cast.
        let first = block as u64;
        let inside =
            first as f64 == block && first.checked_add(u64::from(blocks)).is_some_and(|end| end <= self.blocks);
        if !inside {
            return Err(libc::ERANGE);
        }
        Ok((first * BLOCK_BYTES, blocks as usize * BLOCK_BYTES as usize))
    }

    fn locate(&self, address: u32, block: f64, blocks: u32) -> std::result::Result<(*mut u8, u64, usize), i32> {
        let memory = self.memory.as_ref().ok_or(libc::EBADF)?;
        let (offset, bytes) = self.extent(block, blocks)?;
        let at = u32::try_from(bytes).ok().and_then(|bytes| memory.range(address, bytes)).ok_or(libc::EFAULT)?;
        Ok((at, offset, bytes))
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        if let Store::Memory { base, bytes, .. } = self.store {
            // SAFETY: it is our mapping, and nothing refers to it any longer.
            unsafe { libc::munmap(base.cast(), bytes) };
        }
    }
}

thread_local! {
    static MEDIA: RefCell<Registry<Medium>> = const { RefCell::new(Registry::new()) };
}

/// Runs `step` on the medium with this token; returns 0 or a negated errno.
fn on_medium(token: u32, step: impl FnOnce(&mut Medium) -> Outcome) -> i32 {
    let outcome = MEDIA.with_borrow_mut(|media| step(media.get(token).ok_or(libc::EBADF)?));
    outcome.map_or_else(|errno| -errno, |()| 0)
}

/// A medium. It belongs to the thread that created it. (index.ts adds the copy functions.)
#[napi]
pub struct Media {
    token: u32,
    blocks: u64,
}

#[napi]
impl Media {
    /// A medium of `blocks` blocks of 512 bytes, initially all zeroes. With `file` it is stored in that file, which is
    /// made sparse and set to exactly that length (existing contents stay); otherwise in memory, of which only written
    /// parts take up space. With `shared` all threads of this process have the same memory by that name, as long as one
    /// of them has it open.
    #[napi(constructor, catch_unwind)]
    pub fn new(blocks: f64, file: Option<String>, shared: Option<String>) -> Result<Self> {
        let blocks = block_count(blocks)?;
        let store = match (file, shared) {
            (Some(path), _) => open_sparse(&path, blocks)?,
            (None, Some(name)) => open_shared(name, blocks)?,
            (None, None) => map_memory(blocks)?,
        };
        let token = MEDIA.with_borrow_mut(|media| media.insert(Medium { store, blocks, memory: None }));
        token.map(|token| Media { token, blocks }).ok_or_else(|| error(Code::Limit, "media: too many in this thread"))
    }

    /// The number that identifies this medium to the media functions.
    #[napi(getter, catch_unwind)]
    pub fn token(&self) -> u32 {
        self.token
    }

    /// Blocks of 512 bytes.
    #[napi(getter, catch_unwind)]
    pub fn blocks(&self) -> f64 {
        self.blocks as f64
    }

    /// Binds the memory that addresses refer to from now on.
    #[napi(catch_unwind)]
    pub fn bind(&self, memory: Uint8Array) -> Result<()> {
        let memory = CoreMemory::new(memory)?;
        MEDIA.with_borrow_mut(|media| match media.get(self.token) {
            Some(medium) => {
                medium.memory = Some(memory);
                Ok(())
            }
            None => Err(error(Code::Closed, "media: is closed")),
        })
    }

    /// Frees everything. May be called again.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        // Fails only while the thread ends, after the table and all its media are gone.
        let _ = MEDIA.try_with(|media| media.try_borrow_mut().ok()?.remove(self.token));
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.close();
    }
}

/// Copies `blocks` blocks, starting at `block`, into the bound memory at `address`.
pub fn read(token: u32, address: u32, block: f64, blocks: u32) -> i32 {
    on_medium(token, |medium| medium.read(address, block, blocks))
}

/// Copies `blocks` blocks from the bound memory at `address` to the medium, starting at `block`.
pub fn write(token: u32, address: u32, block: f64, blocks: u32) -> i32 {
    on_medium(token, |medium| medium.write(address, block, blocks))
}

/// Writes the one block at `address` of the bound memory to each of `blocks` blocks, starting at `block` (WRITE SAME).
pub fn fill(token: u32, address: u32, block: f64, blocks: u32) -> i32 {
    on_medium(token, |medium| medium.fill(address, block, blocks))
}

/// Makes `blocks` blocks from `block` on read as zeroes; releases the space of the whole pages among them.
pub fn discard(token: u32, block: f64, blocks: u32) -> i32 {
    on_medium(token, |medium| medium.discard(block, blocks))
}

/// Number of blocks from `block` on, `blocks` at most, that are alike: positive when they were written, negative when
/// they are holes, 0 when this cannot be determined.
pub fn run(token: u32, block: f64, blocks: u32) -> i32 {
    let run = MEDIA.with_borrow_mut(|media| media.get(token).ok_or(libc::EBADF)?.run(block, blocks));
    let Ok((bytes, written)) = run else { return 0 };
    let count = i32::try_from(bytes as u64 / BLOCK_BYTES).unwrap_or(i32::MAX);
    if written { count } else { -count }
}

/// Brings written data to stable storage (fdatasync for a file).
pub fn flush(token: u32) -> i32 {
    on_medium(token, |medium| medium.flush())
}

fn block_count(blocks: f64) -> Result<u64> {
    if (1.0..=BLOCKS_MAX).contains(&blocks) && blocks.fract() == 0.0 {
        return Ok(blocks as u64);
    }
    Err(error(Code::Argument, format!("blocks: {blocks} is no whole number from 1 to {BLOCKS_MAX}")))
}

fn map_memory(blocks: u64) -> Result<Store> {
    let bytes = usize::try_from(blocks * BLOCK_BYTES).unwrap_or(usize::MAX);
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new anonymous mapping at an address chosen by the kernel touches nothing of ours.
    let base = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if base == libc::MAP_FAILED {
        return Err(system(format!("blocks: {bytes} bytes of address space"), errno()));
    }
    if bytes >= HUGE_PAGES_BYTES_MIN {
        prefer_huge_pages(base.cast(), bytes);
    }
    Ok(Store::Memory { base: base.cast(), bytes, written: Written::new(bytes) })
}

fn open_sparse(path: &str, blocks: u64) -> Result<Store> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let sized = opened.and_then(|file| file.set_len(blocks * BLOCK_BYTES).map(|()| file));
    let file =
        sized.map_err(|reason| system(format!("file \"{path}\""), reason.raw_os_error().unwrap_or(libc::EIO)))?;
    Ok(Store::Sparse(Arc::new(file)))
}

/// What is open by a name.
static SHARED: LazyLock<Mutex<HashMap<String, Weak<File>>>> = LazyLock::new(Mutex::default);

fn open_shared(name: String, blocks: u64) -> Result<Store> {
    // A thread that panicked here has left nothing half done.
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = shared.get(&name).and_then(Weak::upgrade) {
        return Ok(Store::Sparse(file));
    }
    shared.retain(|_, file| file.strong_count() > 0);
    // SAFETY: the name is a constant string, and the descriptor is nobody's but ours.
    let made = unsafe {
        match libc::memfd_create(c"pathmanager unit".as_ptr(), libc::MFD_CLOEXEC) {
            -1 => Err(system("memory of a unit", errno())),
            fd => Ok(File::from_raw_fd(fd)),
        }
    };
    let file = made?;
    file.set_len(blocks * BLOCK_BYTES)
        .map_err(|reason| system("memory of a unit", reason.raw_os_error().unwrap_or(libc::EIO)))?;
    let file = Arc::new(file);
    shared.insert(name, Arc::downgrade(&file));
    Ok(Store::Sparse(file))
}

/// Repeats `transfer(done)` until `bytes` are done or it returns 0; returns how many were done.
fn repeat(bytes: usize, mut transfer: impl FnMut(usize) -> isize) -> std::result::Result<usize, i32> {
    let mut done = 0;
    while done < bytes {
        match usize::try_from(transfer(done)) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(_) if errno() == libc::EINTR => {}
            Err(_) => return Err(errno()),
        }
    }
    Ok(done)
}

fn read_file(file: &File, at: *mut u8, offset: u64, bytes: usize) -> Outcome {
    let fd = file.as_raw_fd();
    // SAFETY: `at` has room for `bytes` bytes and done < bytes.
    let transfer = |done: usize| unsafe {
        libc::pread(fd, at.add(done).cast(), bytes - done, (offset + done as u64).cast_signed())
    };
    let done = repeat(bytes, transfer)?;
    // If the file was truncated, the missing part reads as zeroes, like a hole.
    // SAFETY: done <= bytes.
    unsafe { ptr::write_bytes(at.add(done), 0, bytes - done) };
    Ok(())
}

fn write_file(file: &File, at: *mut u8, offset: u64, bytes: usize) -> Outcome {
    let fd = file.as_raw_fd();
    // SAFETY: `bytes` bytes at `at` can be read and done < bytes.
    let transfer = |done: usize| unsafe {
        libc::pwrite(fd, at.add(done).cast(), bytes - done, (offset + done as u64).cast_signed())
    };
    if repeat(bytes, transfer)? == bytes { Ok(()) } else { Err(libc::EIO) }
}

/// As reported by the sparse file: a file system without holes reports everything as data.
fn run_of_file(file: &File, offset: u64, bytes: usize) -> std::result::Result<(usize, bool), i32> {
    let end = offset + bytes as u64;
    let seek = |from: u64, whence| {
        // SAFETY: no pointers are passed; the file's position is used by nobody, as all copies name an offset.
        let at = unsafe { libc::lseek(file.as_raw_fd(), from.cast_signed(), whence) };
        u64::try_from(at).map_err(|_| errno())
    };
    let data = match seek(offset, libc::SEEK_DATA) {
        Err(libc::ENXIO) => end,
        found => found?.min(end),
    };
    // In whole blocks: a block that holds any data counts as data.
    let hole = (data - offset) / BLOCK_BYTES * BLOCK_BYTES;
    if hole > 0 {
        return Ok((hole as usize, false));
    }
    let until = seek(data, libc::SEEK_HOLE)?.min(end) - offset;
    Ok((until.next_multiple_of(BLOCK_BYTES).min(bytes as u64) as usize, true))
}

fn discard_memory(base: *mut u8, offset: usize, bytes: usize) -> Outcome {
    let end = offset + bytes;
    let (first, last) = (offset.next_multiple_of(PAGE_BYTES).min(end), end / PAGE_BYTES * PAGE_BYTES);
    if first >= last {
        // SAFETY: the extent was checked against the mapping.
        unsafe { ptr::write_bytes(base.add(offset), 0, bytes) };
        return Ok(());
    }
    // SAFETY: offset <= first <= last <= end, all within the mapping; whole pages of an anonymous mapping read as
    // zeroes after MADV_DONTNEED.
    let status = unsafe {
        ptr::write_bytes(base.add(offset), 0, first - offset);
        ptr::write_bytes(base.add(last), 0, end - last);
        libc::madvise(base.add(first).cast(), last - first, libc::MADV_DONTNEED)
    };
    if status == 0 { Ok(()) } else { Err(errno()) }
}

fn discard_file(file: &File, offset: u64, bytes: usize) -> Outcome {
    if bytes == 0 {
        return Ok(());
    }
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: no pointers are passed.
    let status = unsafe { libc::fallocate(file.as_raw_fd(), mode, offset.cast_signed(), bytes as i64) };
    if status == 0 {
        return Ok(());
    }
    if errno() != libc::EOPNOTSUPP {
        return Err(errno());
    }
    // The file system cannot punch holes: write zeroes.
    let zeroes = [0u8; 65536];
    let fd = file.as_raw_fd();
    // SAFETY: at most zeroes.len() bytes are read from `zeroes`.
    let transfer = |done: usize| unsafe {
        libc::pwrite(fd, zeroes.as_ptr().cast(), zeroes.len().min(bytes - done), (offset + done as u64).cast_signed())
    };
    if repeat(bytes, transfer)? == bytes { Ok(()) } else { Err(libc::EIO) }
}
