//! SCSI commands between the core's slots and the sg driver: checks slots, builds headers from them, stores results.

use std::os::fd::RawFd;

use crate::abi;
use crate::error::errno;
use crate::memory::CoreMemory;
use crate::ring::desk::Desk;
use crate::ring::op::Stage;
use crate::sg::{SG_DXFER_FROM_DEV, SG_DXFER_NONE, SG_DXFER_TO_DEV, SG_HEADER_BYTES, SgIoHeader};

/// Timeout of a slot that has 0: the driver's own default.
const TIMEOUT_MS_DEFAULT: u32 = 60_000;

fn byte(memory: &CoreMemory, address: u32) -> u32 {
    memory.load_u32(address).unwrap_or(0) & 0xff
}

/// Checks a command slot and everything it points to, before anything is used.
pub fn check_slot(memory: &CoreMemory, slot: u32) -> std::result::Result<(), i32> {
    memory.range(slot, abi::COMMAND_PRIVATE).ok_or(libc::EFAULT)?;
    if !matches!(byte(memory, slot + abi::COMMAND_CDB_BYTES), 6 | 10 | 12 | 16) {
        return Err(libc::EINVAL);
    }
    let buffer = memory.load_u32(slot + abi::COMMAND_BUFFER).ok_or(libc::EFAULT)?;
    let bytes = memory.load_u32(slot + abi::COMMAND_BUFFER_BYTES).ok_or(libc::EFAULT)?;
    match byte(memory, slot + abi::COMMAND_DIRECTION) {
        abi::DIRECTION_NONE => Ok(()),
        abi::DIRECTION_IN | abi::DIRECTION_OUT if bytes > abi::PIECE_BYTES_MAX => Err(libc::EINVAL),
        abi::DIRECTION_IN | abi::DIRECTION_OUT => memory.range(buffer, bytes).map(|_| ()).ok_or(libc::EFAULT),
        _ => Err(libc::EINVAL),
    }
}

/// Writes a command's header to the driver.
pub fn send(fd: RawFd, desk: &mut Desk, index: u32, sequence: i32) -> std::result::Result<(), i32> {
    let memory = desk.memory;
    let op = desk.ops.get(index);
    let slot = op.slot;
    // The slot may have changed while the command waited, so it is checked again.
    check_slot(memory, slot)?;
    let at = memory.range(slot, abi::COMMAND_PRIVATE).ok_or(libc::EFAULT)?;
    let load = |offset: u32| memory.load_u32(slot + offset).unwrap_or(0);
    let mut header = SgIoHeader::empty();
    header.cmd_len = byte(memory, slot + abi::COMMAND_CDB_BYTES) as u8;
    // SAFETY: CDB and sense lie within the COMMAND_PRIVATE bytes that were checked.
    (header.cmdp, header.sbp) = unsafe { (at.add(abi::COMMAND_CDB as usize), at.add(abi::COMMAND_SENSE as usize)) };
    header.mx_sb_len = abi::SENSE_BYTES_MAX as u8;
    header.dxfer_direction = match byte(memory, slot + abi::COMMAND_DIRECTION) {
        _ if load(abi::COMMAND_BUFFER_BYTES) == 0 => SG_DXFER_NONE,
        abi::DIRECTION_IN => SG_DXFER_FROM_DEV,
        abi::DIRECTION_OUT => SG_DXFER_TO_DEV,
        _ => SG_DXFER_NONE,
    };
    if header.dxfer_direction != SG_DXFER_NONE {
        header.dxfer_len = load(abi::COMMAND_BUFFER_BYTES);
        header.dxferp = memory.range(load(abi::COMMAND_BUFFER), header.dxfer_len).ok_or(libc::EFAULT)?;
    }
    header.timeout = match load(abi::COMMAND_TIMEOUT_MS) {
        0 => TIMEOUT_MS_DEFAULT,
        // The driver stores it as a signed number.
        timeout_ms => timeout_ms.min(i32::MAX.cast_unsigned()),
    };
    header.pack_id = sequence;
    header.usr_ptr = std::ptr::without_provenance_mut(index as usize);
    op.sequence = sequence;
    op.stage = Stage::Started;
    loop {
        // SAFETY: `header` has SG_HEADER_BYTES bytes, and what it points to was checked above.
        let count = unsafe { libc::write(fd, (&raw const header).cast(), SG_HEADER_BYTES) };
        if count >= 0 {
            return Ok(());
        }
        if errno() != libc::EINTR {
            return Err(errno());
        }
    }
}

/// Writes the result of a command into its slot.
pub fn store(memory: &CoreMemory, slot: u32, header: &SgIoHeader) -> Option<()> {
    let sense_bytes = u32::from(header.sb_len_wr).min(abi::SENSE_BYTES_MAX);
    let status = memory.load_u32(slot + abi::COMMAND_CDB_BYTES)? & 0xffff;
    // CDB bytes, direction, status and number of sense bytes share a word.
    memory.store_u32(slot + abi::COMMAND_CDB_BYTES, status | (u32::from(header.status) << 16) | (sense_bytes << 24))?;
    let statuses = u32::from(header.host_status) | (u32::from(header.driver_status) << 16);
    memory.store_u32(slot + abi::COMMAND_HOST_STATUS, statuses)?;
    memory.store_u32(slot + abi::COMMAND_RESIDUAL, header.resid.cast_unsigned())
}
