//! Gives the driver commands: 80 bytes each, on an io_uring of their own, one at a time.

use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};

use crate::error::{Code, Error, Result, error, system};
use crate::ublk::layout::{Command, Info, WANTED};

const CONTROL: &str = "/dev/ublk-control";

pub const GET_INFO: u32 = 0x8020_7502;
pub const ADD: u32 = 0xc020_7504;
pub const DELETE: u32 = 0xc020_7505;
pub const START: u32 = 0xc020_7506;
pub const STOP: u32 = 0xc020_7507;
pub const SET_PARAMETERS: u32 = 0xc020_7508;
pub const START_RECOVERY: u32 = 0xc020_7510;
pub const END_RECOVERY: u32 = 0xc020_7511;
pub const GET_FEATURES: u32 = 0x8020_7513;
pub const UPDATE_SIZE: u32 = 0xc020_7515;

pub fn unavailable(message: &str) -> Error {
    error(Code::UblkUnavailable, message)
}

fn open_control() -> Result<OwnedFd> {
    match OpenOptions::new().read(true).write(true).custom_flags(libc::O_CLOEXEC).open(CONTROL) {
        Ok(file) => Ok(OwnedFd::from(file)),
        Err(reason) => Err(match reason.raw_os_error() {
            Some(libc::ENOENT | libc::ENXIO | libc::ENODEV) => unavailable(
                "the kernel's ublk driver is not loaded; run `modprobe ublk_drv` as root (Linux 6.5 or later has it)",
            ),
            Some(libc::EACCES | libc::EPERM) => unavailable(
                "/dev/ublk-control may not be opened: run as root, and let the service use it (DeviceAllow=)",
            ),
            errno => system(CONTROL, errno.unwrap_or(libc::EIO)),
        }),
    }
}

/// Gives the driver one command and waits for its end; returns a negated errno as an error.
pub fn control(operation: u32, mut command: Command) -> Result<std::result::Result<(), i32>> {
    let file = open_control()?;
    let ring = IoUring::<squeue::Entry128, cqueue::Entry>::builder().build(2);
    let mut ring = ring.map_err(|reason| {
        unavailable(&format!(
            "ublk needs io_uring, which is not available: {reason} (see the sysctl kernel.io_uring_disabled)"
        ))
    })?;
    command.queue = u16::MAX;
    let mut bytes = [0u8; 80];
    // SAFETY: Command is 32 bytes of plain numbers without padding, which fit.
    unsafe { std::ptr::copy_nonoverlapping((&raw const command).cast(), bytes.as_mut_ptr(), size_of::<Command>()) };
    let entry = opcode::UringCmd80::new(Fd(file.as_raw_fd()), operation).cmd(bytes).build();
    // SAFETY: the entry, and what the command points to, outlive the command: its end is waited for.
    if unsafe { ring.submission().push(&entry) }.is_err() {
        return Err(error(Code::System, "ublk: no room for a command"));
    }
    loop {
        match ring.submit_and_wait(1) {
            Err(reason) if reason.raw_os_error() == Some(libc::EINTR) => {}
            Err(reason) => return Err(system("ublk: io_uring_enter", reason.raw_os_error().unwrap_or(libc::EIO))),
            Ok(_) => {}
        }
        if let Some(ended) = ring.completion().next() {
            return Ok(if ended.result() < 0 { Err(-ended.result()) } else { Ok(()) });
        }
    }
}

pub fn for_device(index: u32, data: u64) -> Command {
    Command { device: index, data, ..Command::default() }
}

/// Carries out a command that must succeed.
pub fn demand(what: &str, operation: u32, command: Command) -> Result<()> {
    let index = command.device;
    control(operation, command)?.map_err(|errno| match errno {
        libc::EPERM => unavailable("the ublk driver refuses this process: root is needed (CAP_SYS_ADMIN)"),
        libc::ENODEV => error(Code::Handle, format!("{what}: there is no /dev/ublkb{index}")),
        errno => system(format!("{what} /dev/ublkb{index}"), errno),
    })
}

pub fn with_buffer<T>(index: u32, buffer: &mut T, bytes: usize) -> Command {
    Command {
        device: index,
        bytes: bytes as u16,
        address: (&raw mut *buffer).expose_provenance() as u64,
        ..Command::default()
    }
}

pub fn info(index: u32) -> Result<Option<Info>> {
    let mut info = Info::default();
    let command = with_buffer(index, &mut info, size_of::<Info>());
    match control(GET_INFO, command)? {
        Ok(()) => Ok(Some(info)),
        Err(libc::ENODEV | libc::EINVAL) => Ok(None),
        Err(libc::EPERM) => Err(unavailable("the ublk driver refuses this process: root is needed (CAP_SYS_ADMIN)")),
        Err(errno) => Err(system(format!("asking for /dev/ublkb{index}"), errno)),
    }
}

pub fn features() -> Result<u64> {
    let mut features = 0u64;
    let command = with_buffer(u32::MAX, &mut features, 8);
    match control(GET_FEATURES, command)? {
        Ok(()) => Ok(features),
        Err(libc::EPERM) => Err(unavailable("the ublk driver refuses this process: root is needed (CAP_SYS_ADMIN)")),
        Err(_) => Err(unavailable("the kernel's ublk driver is too old: Linux 6.5 or later is needed")),
    }
}

/// What the driver must have.
pub fn check_features() -> Result<()> {
    if features()? & WANTED == WANTED {
        return Ok(());
    }
    Err(unavailable("the kernel's ublk driver lacks UBLK_F_NEED_GET_DATA or recovery: Linux 6.5 or later is needed"))
}
