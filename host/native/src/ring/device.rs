//! The descriptors of a port: those of an sg device, or of sockets to a process that emulates one.

use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use crate::error::{Code, Result, errno, error, system};
use crate::sg::SG_GET_VERSION_NUM;

/// The driver refuses the 17th request on one descriptor (SG_MAX_QUEUE).
pub const COMMANDS_PER_DESCRIPTOR: usize = 16;
const DEPTH_MAX: u32 = 1024;
/// Oldest usable version of the sg interface.
const SG_VERSION_MIN: i32 = 30_000;

fn check_depth(depth: u32) -> Result<usize> {
    if !(1..=DEPTH_MAX).contains(&depth) {
        return Err(error(Code::Argument, format!("depth: {depth} is not from 1 to {DEPTH_MAX}")));
    }
    Ok((depth as usize).div_ceil(COMMANDS_PER_DESCRIPTOR))
}

/// Opens /dev/sgN as many times as its queue depth requires.
pub fn open_device(device: &str, depth: u32) -> Result<Vec<OwnedFd>> {
    let count = check_depth(depth)?;
    let mut files = Vec::with_capacity(count);
    for _ in 0..count {
        let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
        let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(device);
        let file =
            opened.map_err(|reason| system(format!("device {device}"), reason.raw_os_error().unwrap_or(libc::EIO)))?;
        let file = OwnedFd::from(file);
        let mut version: libc::c_int = 0;
        // SAFETY: the ioctl writes one int.
        if unsafe { libc::ioctl(file.as_raw_fd(), SG_GET_VERSION_NUM, &raw mut version) } != 0 {
            return Err(error(
                Code::NotScsiGeneric,
                format!("device {device}: is no SCSI generic device; give a /dev/sgN"),
            ));
        }
        if version < SG_VERSION_MIN {
            let message = format!("device {device}: its sg driver has version {version}; {SG_VERSION_MIN} is needed");
            return Err(error(Code::NotScsiGeneric, message));
        }
        files.push(file);
    }
    Ok(files)
}

/// Takes ownership of descriptors that behave like those of an sg device: a process at the other end emulates one.
pub fn adopt(descriptors: &[i32], depth: u32) -> Result<Vec<OwnedFd>> {
    let count = check_depth(depth)?;
    if descriptors.len() != count {
        let message = format!("descriptors: {} were given; depth {depth} takes {count}", descriptors.len());
        return Err(error(Code::Argument, message));
    }
    let mut files = Vec::with_capacity(count);
    for &fd in descriptors {
        // SAFETY: no pointers are passed.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
        // SAFETY: no pointers are passed.
        if flags < 0 || unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) } < 0 {
            return Err(system(format!("descriptor {fd}"), errno()));
        }
    }
    for &fd in descriptors {
        // SAFETY: it is open, and the caller gives it up.
        files.push(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    Ok(files)
}
