//! Controls the kernel's ublk driver (linux/ublk_cmd.h): commands of 80 bytes on an io_uring of their own, one at a time.

use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::error::{Code, Error, Result, error, system};
use crate::job::{UBLK, promise};

const CONTROL: &str = "/dev/ublk-control";
/// How long udev or devtmpfs may take to show a device file.
const FILE_MS_MAX: u64 = 5000;
/// How long the driver may take to notice that a device's server is gone.
const QUIET_MS_MAX: u64 = 5000;
const PAUSE_MS: u64 = 10;

const GET_INFO: u32 = 0x8020_7502;
const ADD: u32 = 0xc020_7504;
const DELETE: u32 = 0xc020_7505;
const START: u32 = 0xc020_7506;
const STOP: u32 = 0xc020_7507;
const SET_PARAMETERS: u32 = 0xc020_7508;
const START_RECOVERY: u32 = 0xc020_7510;
const END_RECOVERY: u32 = 0xc020_7511;
const GET_FEATURES: u32 = 0x8020_7513;
const UPDATE_SIZE: u32 = 0xc020_7515;

const RECOVERY: u64 = 1 << 3;
const RECOVERY_REISSUE: u64 = 1 << 4;
const IOCTL_ENCODED: u64 = 1 << 6;
const NEED_GET_DATA: u64 = 1 << 2;
const USER_COPY: u64 = 1 << 7;
const RESIZABLE: u64 = 1 << 10;
const WANTED: u64 = RECOVERY | RECOVERY_REISSUE | IOCTL_ENCODED | NEED_GET_DATA;

const STATE_LIVE: u16 = 1;
const STATE_QUIESCED: u16 = 2;

/// Marks devices of this program, in the highest quarter of the server's own flags. The next holds the dead-connection
/// timeout, the low half the owner.
const MARK: u64 = 0x504d;
const MARK_SHIFT: u32 = 48;
const TIMEOUT_SHIFT: u32 = 32;
const TIMEOUT_S_MAX: u32 = 3600;
/// Of devices made before it was kept with them.
const TIMEOUT_S: u32 = 300;

const TYPE_BASIC: u32 = 1;
const TYPE_DISCARD: u32 = 2;
const ATTRIBUTE_READ_ONLY: u32 = 1;
const ATTRIBUTE_WRITE_CACHE: u32 = 4;
const ATTRIBUTE_FUA: u32 = 8;

/// struct ublksrv_ctrl_cmd.
#[repr(C)]
#[derive(Default)]
struct Command {
    device: u32,
    queue: u16,
    bytes: u16,
    address: u64,
    data: u64,
    path_bytes: u16,
    pad: u16,
    reserved: u32,
}

/// struct ublksrv_ctrl_dev_info.
#[repr(C)]
#[derive(Default, Clone, Copy)]
struct Info {
    queues: u16,
    depth: u16,
    state: u16,
    pad: u16,
    bytes_max: u32,
    device: u32,
    server: i32,
    pad1: u32,
    flags: u64,
    own_flags: u64,
    uid: u32,
    gid: u32,
    reserved: [u64; 2],
}

/// struct ublk_params, up to those for discarding.
#[repr(C)]
#[derive(Default)]
struct Parameters {
    bytes: u32,
    types: u32,
    attributes: u32,
    logical_shift: u8,
    physical_shift: u8,
    optimal_shift: u8,
    minimum_shift: u8,
    sectors_max: u32,
    chunk_sectors: u32,
    sectors: u64,
    virtual_boundary: u64,
    discard_alignment: u32,
    discard_granularity: u32,
    discard_sectors_max: u32,
    zero_sectors_max: u32,
    discard_segments_max: u16,
    reserved: u16,
}

/// The bytes of struct ublk_params that are used.
const PARAMETER_BYTES: u32 = 60;

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

fn timeout_of(own_flags: u64) -> u32 {
    let seconds = (own_flags >> TIMEOUT_SHIFT) as u32 & 0xffff;
    if seconds > TIMEOUT_S_MAX { TIMEOUT_S } else { seconds }
}

fn unavailable(message: &str) -> Error {
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
fn control(operation: u32, mut command: Command) -> Result<std::result::Result<(), i32>> {
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

fn for_device(index: u32, data: u64) -> Command {
    Command { device: index, data, ..Command::default() }
}

/// Carries out a command that must succeed.
fn demand(what: &str, operation: u32, command: Command) -> Result<()> {
    let index = command.device;
    control(operation, command)?.map_err(|errno| match errno {
        libc::EPERM => unavailable("the ublk driver refuses this process: root is needed (CAP_SYS_ADMIN)"),
        libc::ENODEV => error(Code::Handle, format!("{what}: there is no /dev/ublkb{index}")),
        errno => system(format!("{what} /dev/ublkb{index}"), errno),
    })
}

fn with_buffer<T>(index: u32, buffer: &mut T, bytes: usize) -> Command {
    Command {
        device: index,
        bytes: bytes as u16,
        address: (&raw mut *buffer).expose_provenance() as u64,
        ..Command::default()
    }
}

fn info(index: u32) -> Result<Option<Info>> {
    let mut info = Info::default();
    let command = with_buffer(index, &mut info, size_of::<Info>());
    match control(GET_INFO, command)? {
        Ok(()) => Ok(Some(info)),
        Err(libc::ENODEV | libc::EINVAL) => Ok(None),
        Err(libc::EPERM) => Err(unavailable("the ublk driver refuses this process: root is needed (CAP_SYS_ADMIN)")),
        Err(errno) => Err(system(format!("asking for /dev/ublkb{index}"), errno)),
    }
}

fn features() -> Result<u64> {
    let mut features = 0u64;
    let command = with_buffer(u32::MAX, &mut features, 8);
    match control(GET_FEATURES, command)? {
        Ok(()) => Ok(features),
        Err(libc::EPERM) => Err(unavailable("the ublk driver refuses this process: root is needed (CAP_SYS_ADMIN)")),
        Err(_) => Err(unavailable("the kernel's ublk driver is too old: Linux 6.5 or later is needed")),
    }
}

/// What the driver must have.
fn check_features() -> Result<()> {
    if features()? & WANTED == WANTED {
        return Ok(());
    }
    Err(unavailable("the kernel's ublk driver lacks UBLK_F_NEED_GET_DATA or recovery: Linux 6.5 or later is needed"))
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

fn shift(bytes: u32) -> u8 {
    if bytes == 0 { 0 } else { bytes.ilog2() as u8 }
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
