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

/// Where a port's descriptors are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An sg device, which can be opened again.
    Device,
    /// All there will be were given.
    Given,
}

impl Source {
    /// Opens the device of `first` once more; none where that is impossible.
    ///
    /// Its name may be another device's by now. The descriptor leads to the same one: as long as it is open the driver does
    /// not use its number again.
    pub fn open_more(self, first: &OwnedFd) -> Option<Result<OwnedFd>> {
        (self == Source::Device).then(|| open(&format!("/proc/self/fd/{}", first.as_raw_fd())))
    }
}

fn check_depth(depth: u32) -> Result<()> {
    if !(1..=DEPTH_MAX).contains(&depth) {
        return Err(error(Code::Argument, format!("depth: {depth} is not from 1 to {DEPTH_MAX}")));
    }
    Ok(())
}

fn open(device: &str) -> Result<OwnedFd> {
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
    let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(device);
    let file =
        opened.map_err(|reason| system(format!("device {device}"), reason.raw_os_error().unwrap_or(libc::EIO)))?;
    Ok(OwnedFd::from(file))
}

/// Opens /dev/sgN, once: more is opened as commands need it.
pub fn open_device(device: &str, depth: u32) -> Result<OwnedFd> {
    check_depth(depth)?;
    let file = open(device)?;
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
    Ok(file)
}

/// Takes ownership of descriptors that behave like those of an sg device: a process at the other end emulates one.
pub fn adopt(descriptors: &[i32], depth: u32) -> Result<Vec<OwnedFd>> {
    check_depth(depth)?;
    let (least, most) = ((depth as usize).div_ceil(COMMANDS_PER_DESCRIPTOR), depth as usize);
    if !(least..=most).contains(&descriptors.len()) {
        let message = format!("descriptors: {} were given; depth {depth} takes {least} to {most}", descriptors.len());
        return Err(error(Code::Argument, message));
    }
    let mut files = Vec::with_capacity(descriptors.len());
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
