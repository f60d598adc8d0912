//! Single SCSI commands, each on a thread of its own: for discovery and other callers that can wait.

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use napi::Env;
use napi::bindgen_prelude::{Either, Object, Uint8Array};
use napi_derive::napi;

use crate::abi;
use crate::error::{Code, Result, errno, error, system};
use crate::job::{SCSI, promise};
use crate::sg::{SG_DXFER_FROM_DEV, SG_DXFER_TO_DEV, SG_IO, SgIoHeader};

const CDB_BYTES_MAX: usize = 32;
const SENSE_BYTES: usize = 252;

/// Result of a SCSI command.
#[napi(object)]
pub struct ScsiResult {
    /// SCSI status (SAM-5 5.3.1): 0 good, 2 check condition, ...
    pub status: u8,
    /// DID_* of the Linux SCSI midlayer.
    pub host_status: u16,
    /// DRIVER_* of the Linux SCSI midlayer.
    pub driver_status: u16,
    /// Sense data; empty when there is none.
    pub sense: Uint8Array,
    /// Bytes requested but not transferred.
    pub residual: i32,
    /// The data read, without the residual; empty unless the direction is in.
    pub data: Uint8Array,
}

struct Command {
    device: String,
    cdb: Vec<u8>,
    direction: u32,
    data: Vec<u8>,
    timeout_ms: u32,
}

/// Executes one SCSI command by SG_IO and returns its result: `device` is /dev/sgN, /dev/sdX or /dev/bsg/...,
/// `direction` one of DIRECTION_*, `data` the data to write (DIRECTION_OUT) or the number of bytes that may be read
/// (DIRECTION_IN).
#[napi(catch_unwind, ts_return_type = "Promise<ScsiResult>")]
pub fn scsi_command<'env>(
    env: &'env Env,
    device: String,
    cdb: Uint8Array,
    direction: u32,
    data: Either<Uint8Array, u32>,
    timeout_ms: u32,
) -> Result<Object<'env>> {
    if cdb.is_empty() || cdb.len() > CDB_BYTES_MAX {
        return Err(error(
            Code::Argument,
            format!("cdb: has {} bytes; from 1 to {CDB_BYTES_MAX} can be sent", cdb.len()),
        ));
    }
    if timeout_ms == 0 {
        return Err(error(Code::Argument, "timeoutMs: is 0; give the milliseconds the device may take"));
    }
    let too_long = |bytes: usize| {
        let message = format!("data: {bytes} bytes; one command carries at most {}", abi::PIECE_BYTES_MAX);
        (bytes > abi::PIECE_BYTES_MAX as usize).then(|| error(Code::Argument, message))
    };
    let data = match (direction, data) {
        (abi::DIRECTION_NONE, _) => Vec::new(),
        (abi::DIRECTION_IN, Either::B(bytes)) => match too_long(bytes as usize) {
            Some(refusal) => return Err(refusal),
            None => vec![0u8; bytes as usize],
        },
        (abi::DIRECTION_OUT, Either::A(bytes)) => match too_long(bytes.len()) {
            Some(refusal) => return Err(refusal),
            None => bytes.to_vec(),
        },
        (abi::DIRECTION_IN | abi::DIRECTION_OUT, _) => {
            let message = "data: give the bytes to write with direction 2 (out), their number with direction 1 (in)";
            return Err(error(Code::Argument, message));
        }
        (other, _) => {
            return Err(error(Code::Argument, format!("direction: {other} is unknown; use 0 (none), 1 (in), 2 (out)")));
        }
    };
    let command = Command { device, cdb: cdb.to_vec(), direction, data, timeout_ms };
    promise(env, &SCSI, move || carry_out(command))
}

fn carry_out(mut command: Command) -> Result<ScsiResult> {
    let device = &command.device;
    // Read and write: the kernel filters commands on read-only descriptors. O_NONBLOCK: opening an sg device in error
    // recovery would otherwise block.
    let opened =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(device);
    let file =
        opened.map_err(|reason| system(format!("device {device}"), reason.raw_os_error().unwrap_or(libc::EIO)))?;
    let mut sense = vec![0u8; SENSE_BYTES];
    let mut header = SgIoHeader::empty();
    header.cmd_len = command.cdb.len() as u8;
    header.cmdp = command.cdb.as_ptr();
    header.mx_sb_len = sense.len() as u8;
    header.sbp = sense.as_mut_ptr();
    header.timeout = command.timeout_ms;
    if !command.data.is_empty() {
        header.dxfer_direction =
            if command.direction == abi::DIRECTION_IN { SG_DXFER_FROM_DEV } else { SG_DXFER_TO_DEV };
        header.dxfer_len = command.data.len() as u32;
        header.dxferp = command.data.as_mut_ptr();
    }
    // SAFETY: `header` is an sg_io_hdr whose pointers stay valid during the call, with the lengths it states.
    if unsafe { libc::ioctl(file.as_raw_fd(), SG_IO, &raw mut header) } != 0 {
        return Err(match errno() {
            libc::ENOTTY | libc::EINVAL => {
                error(Code::NotScsiGeneric, format!("device {device}: takes no SCSI commands; give a /dev/sgN"))
            }
            other => system(format!("device {device}: SCSI command {:#04x}", command.cdb[0]), other),
        });
    }
    sense.truncate(header.sb_len_wr.into());
    let read = if command.direction == abi::DIRECTION_IN {
        command.data.len().saturating_sub(usize::try_from(header.resid).unwrap_or(0))
    } else {
        0
    };
    command.data.truncate(read);
    Ok(ScsiResult {
        status: header.status,
        host_status: header.host_status,
        driver_status: header.driver_status,
        sense: Uint8Array::new(sense),
        residual: header.resid,
        data: Uint8Array::new(command.data),
    })
}
