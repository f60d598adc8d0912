//! Devices of the kernel's ublk driver: made, described, started, taken over, ended.

mod command;
mod layout;

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::error::{Code, Result, error, system};
use crate::job::{UBLK, promise};
use crate::ublk::command::*;
use crate::ublk::layout::*;

/// How long udev or devtmpfs may take to show a device file.
const FILE_MS_MAX: u64 = 5000;
/// How long the driver may take to notice that a device's server is gone.
const QUIET_MS_MAX: u64 = 5000;
const PAUSE_MS: u64 = 10;

/// A new device.
#[napi(object)]
pub struct UblkAddOptions {
    /// N of /dev/ublkbN; -1: the first free one.
    pub index: i32,
    /// Requests that the queue takes at once.
    pub depth: u32,
    /// Bytes of the largest READ or WRITE.
    pub bytes_max: u32,
    /// Kept with the device, for the next server: a number that identifies what it offers.
    pub owner: u32,
    /// How long its requests wait for the next server when there is none, in seconds, 0 to 3600. Kept with the device:
    /// the driver itself does not know it.
    pub dead_connection_timeout_seconds: u32,
    /// The server copies data itself, as with devices made by earlier versions. Default false.
    pub user_copy: Option<bool>,
}

/// What a device is; set before it starts.
#[napi(object)]
pub struct UblkParameters {
    pub size_bytes: f64,
    /// Powers of two; those that are not known are 0.
    pub logical_bytes: u32,
    pub physical_bytes: u32,
    pub minimum_bytes: u32,
    pub optimal_bytes: u32,
    pub bytes_max: u32,
    pub read_only: bool,
    /// FLUSH and FUA mean something.
    pub write_cache: bool,
    pub fua: bool,
    /// 0: DISCARD is not offered.
    pub discard_granularity: u32,
    pub discard_bytes_max: u32,
    /// 0: WRITE_ZEROES is not offered.
    pub zero_bytes_max: u32,
}

/// A device known to the driver.
#[napi(object)]
pub struct UblkDevice {
    pub index: u32,
    /// `quiesced`: its requests wait for the next server; `dead`: not started, or stopped.
    #[napi(ts_type = "'live' | 'quiesced' | 'dead' | 'failing'")]
    pub state: String,
    pub depth: u32,
    pub server_pid: i32,
    pub resizable: bool,
    /// As given to `ublkAdd`; omitted when another program has made the device.
    pub owner: Option<u32>,
    /// As given to `ublkAdd`, if it was.
    pub dead_connection_timeout_seconds: u32,
    /// The server copies data itself: a device made by an earlier version.
    pub user_copy: bool,
}

fn add(options: &UblkAddOptions) -> Result<u32> {
    check_features()?;
    let index = options.index.cast_unsigned();
    let timeout_s = options.dead_connection_timeout_seconds;
    if timeout_s > TIMEOUT_S_MAX {
        let message = format!("deadConnectionTimeoutSeconds: {timeout_s} is more than {TIMEOUT_S_MAX}");
        return Err(error(Code::Argument, message));
    }
    let own_flags = (MARK << MARK_SHIFT) | (u64::from(timeout_s) << TIMEOUT_SHIFT) | u64::from(options.owner);
    let mut info = Info {
        queues: 1,
        depth: options.depth as u16,
        bytes_max: options.bytes_max,
        device: index,
        // As earlier versions made them.
        flags: if options.user_copy == Some(true) { WANTED & !NEED_GET_DATA | USER_COPY } else { WANTED },
        own_flags,
        ..Info::default()
    };
    let command = with_buffer(index, &mut info, size_of::<Info>());
    match control(ADD, command)? {
        Ok(()) => Ok(info.device),
        Err(libc::EEXIST) => Err(error(Code::Handle, format!("/dev/ublkb{index} is taken"))),
        Err(libc::EACCES | libc::ENOSPC) => Err(error(
            Code::Limit,
            "the ublk driver has as many devices as it may (see its parameter ublks_max in /sys/module/ublk_drv/parameters)",
        )),
        Err(libc::EPERM) => Err(unavailable("the ublk driver refuses this process: root is needed (CAP_SYS_ADMIN)")),
        Err(errno) => Err(system("adding a ublk device", errno)),
    }
}

fn set(index: u32, given: &UblkParameters) -> Result<()> {
    let attributes = if given.read_only { ATTRIBUTE_READ_ONLY } else { 0 }
        | if given.write_cache { ATTRIBUTE_WRITE_CACHE } else { 0 }
        | if given.write_cache && given.fua { ATTRIBUTE_FUA } else { 0 };
    let discards = given.discard_granularity > 0;
    let mut parameters = Parameters {
        bytes: PARAMETER_BYTES,
        types: TYPE_BASIC | if discards || given.zero_bytes_max > 0 { TYPE_DISCARD } else { 0 },
        attributes,
        logical_shift: shift(given.logical_bytes),
        physical_shift: shift(given.physical_bytes.max(given.logical_bytes)),
        optimal_shift: shift(given.optimal_bytes),
        minimum_shift: shift(given.minimum_bytes.max(given.logical_bytes)),
        sectors_max: given.bytes_max >> 9,
        sectors: given.size_bytes as u64 >> 9,
        discard_granularity: given.discard_granularity.max(given.logical_bytes),
        discard_sectors_max: if discards { given.discard_bytes_max >> 9 } else { 0 },
        zero_sectors_max: given.zero_bytes_max >> 9,
        discard_segments_max: 1,
        ..Parameters::default()
    };
    let command = with_buffer(index, &mut parameters, PARAMETER_BYTES as usize);
    demand("describing", SET_PARAMETERS, command)
}

/// Waits until the driver has noticed that the server is gone, then prepares the device for the next one.
fn recover(index: u32) -> Result<()> {
    let end = Instant::now() + Duration::from_millis(QUIET_MS_MAX);
    loop {
        match control(START_RECOVERY, for_device(index, 0))? {
            Ok(()) => return Ok(()),
            Err(libc::EBUSY) if Instant::now() < end => sleep(Duration::from_millis(PAUSE_MS)),
            Err(libc::EBUSY) => {
                return Err(error(Code::Handle, format!("/dev/ublkb{index} is served by another process that lives")));
            }
            Err(errno) => return Err(system(format!("taking over /dev/ublkb{index}"), errno)),
        }
    }
}

/// Opens /dev/ublkcN, whose file appears a moment after the device.
pub fn open_device(index: u32) -> Result<OwnedFd> {
    let path = format!("/dev/ublkc{index}");
    let end = Instant::now() + Duration::from_millis(FILE_MS_MAX);
    loop {
        match OpenOptions::new().read(true).write(true).custom_flags(libc::O_CLOEXEC).open(&path) {
            Ok(file) => return Ok(OwnedFd::from(file)),
            Err(reason) => match reason.raw_os_error() {
                Some(libc::ENOENT) if Instant::now() < end => sleep(Duration::from_millis(PAUSE_MS)),
                errno => return Err(system(path, errno.unwrap_or(libc::EIO))),
            },
        }
    }
}

/// Whether the driver can be used: rejected with ERR_NATIVE_UBLK_UNAVAILABLE and the reason when not.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn ublk_check(env: &Env) -> Result<Object<'_>> {
    promise(env, &UBLK, check_features)
}

/// Adds a device; returns N of /dev/ublkbN. It exists for others when it has been started.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn ublk_add<'env>(env: &'env Env, options: UblkAddOptions) -> Result<Object<'env>> {
    promise(env, &UBLK, move || add(&options))
}

/// Says what a device is, before it is started.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn ublk_set<'env>(env: &'env Env, index: u32, parameters: UblkParameters) -> Result<Object<'env>> {
    promise(env, &UBLK, move || set(index, &parameters))
}

/// Starts a device that process `pid` serves (`addUblk`); `recovered`: after `ublkRecover`. The kernel reads its
/// partition table meanwhile.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn ublk_start<'env>(env: &'env Env, index: u32, pid: u32, recovered: bool) -> Result<Object<'env>> {
    let operation = if recovered { END_RECOVERY } else { START };
    promise(env, &UBLK, move || demand("starting", operation, for_device(index, pid.into())))
}

/// Prepares a device whose server has gone for the next one.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn ublk_recover<'env>(env: &'env Env, index: u32) -> Result<Object<'env>> {
    promise(env, &UBLK, move || recover(index))
}

/// Stops a device. Waits for its requests as long as its server lives.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn ublk_stop<'env>(env: &'env Env, index: u32) -> Result<Object<'env>> {
    promise(env, &UBLK, move || demand("stopping", STOP, for_device(index, 0)))
}

/// Removes a device, which is stopped if need be; ends when its server has closed it.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn ublk_delete<'env>(env: &'env Env, index: u32) -> Result<Object<'env>> {
    promise(env, &UBLK, move || demand("removing", DELETE, for_device(index, 0)))
}

/// Gives a device a new size. ENOTSUP or EOPNOTSUPP in the message: the kernel is older than 6.16.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn ublk_resize<'env>(env: &'env Env, index: u32, size_bytes: f64) -> Result<Object<'env>> {
    promise(env, &UBLK, move || demand("resizing", UPDATE_SIZE, for_device(index, size_bytes as u64 >> 9)))
}

/// A device, or null when there is none with this number.
#[napi(catch_unwind, ts_return_type = "Promise<UblkDevice | null>")]
pub fn ublk_status<'env>(env: &'env Env, index: u32) -> Result<Object<'env>> {
    promise(env, &UBLK, move || {
        let resizable = features()? & RESIZABLE != 0;
        Ok(info(index)?.map(|info| UblkDevice {
            index: info.device,
            state: match info.state {
                STATE_LIVE => "live",
                STATE_QUIESCED => "quiesced",
                0 => "dead",
                _ => "failing",
            }
            .into(),
            depth: info.depth.into(),
            server_pid: info.server,
            // Drivers that can do it do so for every device: it is none of a device's own flags.
            resizable,
            owner: (info.own_flags >> MARK_SHIFT == MARK).then_some(info.own_flags as u32),
            dead_connection_timeout_seconds: timeout_of(info.own_flags),
            user_copy: info.flags & USER_COPY != 0,
        }))
    })
}
