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
