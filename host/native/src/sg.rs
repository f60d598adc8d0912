//! The SCSI generic interface, version 3 (<scsi/sg.h>): the header of a command, and ioctl numbers.

pub const SG_IO: libc::c_ulong = 0x2285;
pub const SG_GET_VERSION_NUM: libc::c_ulong = 0x2282;
/// How many commands of a descriptor have ended and wait to be read.
pub const SG_GET_NUM_WAITING: libc::c_ulong = 0x227d;
pub const SG_GET_SCSI_ID: libc::c_ulong = 0x2276;
pub const SG_SCSI_RESET: libc::c_ulong = 0x2284;
/// With SG_SCSI_RESET: reset only what was requested, never more.
pub const SG_SCSI_RESET_NO_ESCALATE: i32 = 0x100;

pub const SG_DXFER_NONE: i32 = -1;
pub const SG_DXFER_TO_DEV: i32 = -2;
pub const SG_DXFER_FROM_DEV: i32 = -3;

/// Queue behind commands already queued; by default sg overtakes them.
pub const SG_FLAG_Q_AT_TAIL: u32 = 0x10;

/// struct sg_scsi_id.
#[repr(C)]
#[derive(Default)]
pub struct SgScsiId {
    pub host: i32,
    pub channel: i32,
    pub target: i32,
    pub lun: i32,
    _rest: [i32; 5],
}

/// struct sg_io_hdr: 88 bytes on 64-bit machines.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SgIoHeader {
    pub interface_id: i32,
    pub dxfer_direction: i32,
    pub cmd_len: u8,
    pub mx_sb_len: u8,
    pub iovec_count: u16,
    pub dxfer_len: u32,
    pub dxferp: *mut u8,
    pub cmdp: *const u8,
    pub sbp: *mut u8,
    /// Milliseconds.
    pub timeout: u32,
    pub flags: u32,
    pub pack_id: i32,
    pub usr_ptr: *mut u8,
    pub status: u8,
    pub masked_status: u8,
    pub msg_status: u8,
    pub sb_len_wr: u8,
    pub host_status: u16,
    pub driver_status: u16,
    pub resid: i32,
    /// Milliseconds.
    pub duration: u32,
    pub info: u32,
}

pub const SG_HEADER_BYTES: usize = size_of::<SgIoHeader>();

impl SgIoHeader {
    /// A header without command and data.
    pub fn empty() -> Self {
        SgIoHeader {
            interface_id: 'S' as i32,
            dxfer_direction: SG_DXFER_NONE,
            cmd_len: 0,
            mx_sb_len: 0,
            iovec_count: 0,
            dxfer_len: 0,
            dxferp: std::ptr::null_mut(),
            cmdp: std::ptr::null(),
            sbp: std::ptr::null_mut(),
            timeout: 0,
            flags: SG_FLAG_Q_AT_TAIL,
            pack_id: 0,
            usr_ptr: std::ptr::null_mut(),
            status: 0,
            masked_status: 0,
            msg_status: 0,
            sb_len_wr: 0,
            host_status: 0,
            driver_status: 0,
            resid: 0,
            duration: 0,
            info: 0,
        }
    }
}
