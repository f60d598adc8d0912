//! What the driver's commands carry (linux/ublk_cmd.h), and what this program keeps with a device.

pub const RECOVERY: u64 = 1 << 3;
pub const RECOVERY_REISSUE: u64 = 1 << 4;
pub const IOCTL_ENCODED: u64 = 1 << 6;
pub const NEED_GET_DATA: u64 = 1 << 2;
pub const USER_COPY: u64 = 1 << 7;
pub const RESIZABLE: u64 = 1 << 10;
pub const WANTED: u64 = RECOVERY | RECOVERY_REISSUE | IOCTL_ENCODED | NEED_GET_DATA;

pub const STATE_LIVE: u16 = 1;
pub const STATE_QUIESCED: u16 = 2;

/// Marks devices of this program, in the highest quarter of the server's own flags. The next holds the dead-connection
/// timeout, the low half the owner.
pub const MARK: u64 = 0x504d;
pub const MARK_SHIFT: u32 = 48;
pub const TIMEOUT_SHIFT: u32 = 32;
pub const TIMEOUT_S_MAX: u32 = 3600;
/// Of devices made before it was kept with them.
pub const TIMEOUT_S: u32 = 300;

pub const TYPE_BASIC: u32 = 1;
pub const TYPE_DISCARD: u32 = 2;
pub const ATTRIBUTE_READ_ONLY: u32 = 1;
pub const ATTRIBUTE_WRITE_CACHE: u32 = 4;
pub const ATTRIBUTE_FUA: u32 = 8;

/// struct ublksrv_ctrl_cmd.
#[repr(C)]
#[derive(Default)]
pub struct Command {
    pub device: u32,
    pub queue: u16,
    pub bytes: u16,
    pub address: u64,
    pub data: u64,
    pub path_bytes: u16,
    pub pad: u16,
    pub reserved: u32,
}

/// struct ublksrv_ctrl_dev_info.
#[repr(C)]
#[derive(Default, Clone, Copy)]
pub struct Info {
    pub queues: u16,
    pub depth: u16,
    pub state: u16,
    pub pad: u16,
    pub bytes_max: u32,
    pub device: u32,
    pub server: i32,
    pub pad1: u32,
    pub flags: u64,
    pub own_flags: u64,
    pub uid: u32,
    pub gid: u32,
    pub reserved: [u64; 2],
}

/// struct ublk_params, up to those for discarding.
#[repr(C)]
#[derive(Default)]
pub struct Parameters {
    pub bytes: u32,
    pub types: u32,
    pub attributes: u32,
    pub logical_shift: u8,
    pub physical_shift: u8,
    pub optimal_shift: u8,
    pub minimum_shift: u8,
    pub sectors_max: u32,
    pub chunk_sectors: u32,
    pub sectors: u64,
    pub virtual_boundary: u64,
    pub discard_alignment: u32,
    pub discard_granularity: u32,
    pub discard_sectors_max: u32,
    pub zero_sectors_max: u32,
    pub discard_segments_max: u16,
    pub reserved: u16,
}

/// The bytes of struct ublk_params that are used.
pub const PARAMETER_BYTES: u32 = 60;

pub fn shift(bytes: u32) -> u8 {
    if bytes == 0 { 0 } else { bytes.ilog2() as u8 }
}

pub fn timeout_of(own_flags: u64) -> u32 {
    let seconds = (own_flags >> TIMEOUT_SHIFT) as u32 & 0xffff;
    if seconds > TIMEOUT_S_MAX { TIMEOUT_S } else { seconds }
}
