//! Tells the kernel that this process carries I/O.

use napi_derive::napi;

use crate::error::{Result, errno, system};

/// Tells the kernel that the calling thread, and every thread it starts from now on, serves a block device (prctl(2),
/// PR_SET_IO_FLUSHER; Linux 5.6 and later). When such a thread needs memory and none is free, the kernel does not make
/// it wait for dirty pages to be written, since that may need this very process.
///
/// Throws ERR_NATIVE_SYSTEM: EPERM without CAP_SYS_RESOURCE, EINVAL on an older kernel.
#[napi(catch_unwind)]
pub fn become_io_flusher() -> Result<()> {
    /// include/uapi/linux/prctl.h; the libc crate lacks it.
    const PR_SET_IO_FLUSHER: libc::c_int = 57;
    const ON: libc::c_ulong = 1;
    const UNUSED: libc::c_ulong = 0;
    // SAFETY: PR_SET_IO_FLUSHER takes numbers only.
    let answer = unsafe { libc::prctl(PR_SET_IO_FLUSHER, ON, UNUSED, UNUSED, UNUSED) };
    if answer == 0 { Ok(()) } else { Err(system("prctl PR_SET_IO_FLUSHER", errno())) }
}

/// The kernel's `struct sched_attr`, version 0 (sched_setattr(2)).
#[repr(C)]
struct SchedulingAttributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

const THIS_THREAD: libc::pid_t = 0;
const NO_FLAGS: libc::c_uint = 0;

impl SchedulingAttributes {
    fn of(thread: libc::pid_t) -> Result<Self> {
        let size = size_of::<Self>() as u32;
        let mut attributes =
            Self { size, policy: 0, flags: 0, nice: 0, priority: 0, runtime_ns: 0, deadline_ns: 0, period_ns: 0 };
        // SAFETY: the kernel fills no more than `size` bytes.
        if unsafe { libc::syscall(libc::SYS_sched_getattr, thread, &raw mut attributes, size, NO_FLAGS) } != 0 {
            return Err(system("sched_getattr", errno()));
        }
        Ok(attributes)
    }

    /// For the calling thread and those it starts from now on.
    fn set(&self) -> Result<()> {
        // SAFETY: the kernel reads `size` bytes.
        if unsafe { libc::syscall(libc::SYS_sched_setattr, THIS_THREAD, std::ptr::from_ref(self), NO_FLAGS) } != 0 {
            return Err(system("sched_setattr", errno()));
        }
        Ok(())
    }
}

/// Asks the scheduler for time slices of `slice_us` microseconds for the calling thread and those it starts from now on
/// (sched_setattr(2), `sched_runtime` of SCHED_OTHER; Linux 6.12 and later, which keeps it within 0.1 to 100 ms). A
/// thread with a short slice runs sooner after it wakes, and no longer in all. Returns whether the kernel heeds it:
/// older ones take it, do nothing, and do not give it back.
///
/// Throws `ERR_NATIVE_SYSTEM`.
#[napi(catch_unwind)]
pub fn request_slice(slice_us: u32) -> Result<bool> {
    let mut attributes = SchedulingAttributes::of(THIS_THREAD)?;
    attributes.runtime_ns = u64::from(slice_us) * 1000;
    attributes.set()?;
    Ok(SchedulingAttributes::of(THIS_THREAD)?.runtime_ns != 0)
}

/// Sets the niceness of the calling thread and of those it starts from now on, also where a sandbox forbids
/// setpriority(2).
///
/// Throws `ERR_NATIVE_SYSTEM`: EPERM without CAP_SYS_NICE if it is lower than before.
#[napi(catch_unwind)]
pub fn request_niceness(nice: i32) -> Result<()> {
    let mut attributes = SchedulingAttributes::of(THIS_THREAD)?;
    attributes.nice = nice;
    attributes.set()
}

/// How the scheduler treats a thread.
#[napi(object)]
pub struct Scheduling {
    pub nice: i32,
    /// Length of its time slices; 0 where the kernel does not tell (before Linux 6.12).
    pub slice_us: u32,
}

/// Throws `ERR_NATIVE_SYSTEM`: ESRCH where there is no such thread.
#[napi(catch_unwind)]
pub fn scheduling_of(thread: i32) -> Result<Scheduling> {
    let SchedulingAttributes { nice, runtime_ns, .. } = SchedulingAttributes::of(thread)?;
    Ok(Scheduling { nice, slice_us: u32::try_from(runtime_ns / 1000).unwrap_or(u32::MAX) })
}

/// From now on the kernel kills this process as soon as its parent ends (prctl(2), PR_SET_PDEATHSIG), whatever it is
/// doing; returns false if the parent `parent` has already ended.
#[napi(catch_unwind)]
pub fn die_with_parent(parent: i32) -> Result<bool> {
    const UNUSED: libc::c_ulong = 0;
    // SAFETY: PR_SET_PDEATHSIG takes numbers only.
    let answer = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, UNUSED, UNUSED, UNUSED) };
    if answer != 0 {
        return Err(system("prctl PR_SET_PDEATHSIG", errno()));
    }
    // SAFETY: it takes no arguments and cannot fail.
    Ok(unsafe { libc::getppid() } == parent)
}

/// Ends the process at once, without waiting for other threads. `process.exit` waits for every worker and for libuv's
/// pool, forever if one of them hangs in the kernel. Save everything before.
#[napi(catch_unwind, ts_return_type = "never")]
pub fn end_process(status: i32) {
    // SAFETY: it takes a number and does not return. No destructor runs; the kernel closes everything that is open.
    unsafe { libc::_exit(status) }
}
