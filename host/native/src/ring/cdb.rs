//! Which SCSI commands become requests of the block door, and which are refused at once (SBC-4, SPC-5). A CDB comes from
//! whoever may open the device, so nothing in it is believed.

use crate::abi;

/// Sense key, additional sense code, its qualifier.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sense(pub u8, pub u8, pub u8);

pub const NOT_READY: Sense = Sense(0x02, 0x04, 0x00);
pub const INTERNAL_FAILURE: Sense = Sense(0x04, 0x44, 0x00);
pub const LIST_LENGTH: Sense = Sense(0x05, 0x1a, 0x00);
pub const INVALID_OPCODE: Sense = Sense(0x05, 0x20, 0x00);
pub const OUT_OF_RANGE: Sense = Sense(0x05, 0x21, 0x00);
pub const INVALID_FIELD: Sense = Sense(0x05, 0x24, 0x00);
pub const WRITE_PROTECTED: Sense = Sense(0x07, 0x27, 0x00);
pub const NO_SPACE: Sense = Sense(0x07, 0x27, 0x07);
pub const MISCOMPARE: Sense = Sense(0x0e, 0x1d, 0x00);

pub fn unit_attention(code: u8, qualifier: u8) -> Sense {
    Sense(0x06, code, qualifier)
}

/// REQUEST SENSE, INQUIRY and REPORT LUNS are carried out whatever there is to be told (SPC-4 5.14).
pub fn reports_attention(operation: u8) -> bool {
    !matches!(operation, 0x03 | 0x12 | 0xa0)
}

/// What a command needs to know of the unit.
#[derive(Clone, Copy)]
pub struct Medium {
    pub block_bytes: u32,
    pub blocks: u64,
    pub read_only: bool,
    pub unmaps: bool,
}

impl Medium {
    /// Blocks of the largest READ or WRITE.
    pub fn transfer_blocks_max(self) -> u64 {
        u64::from(abi::BLOCK_BYTES_MAX / self.block_bytes)
    }

    /// Why a range cannot be accessed; none when it can.
    pub fn refusal(self, lba: u64, blocks: u64) -> Option<Sense> {
        (lba > self.blocks || blocks > self.blocks - lba).then_some(OUT_OF_RANGE)
    }
}

/// A range of blocks, as most commands name one.
#[derive(Clone, Copy)]
pub struct Range {
    pub lba: u64,
    pub blocks: u64,
    pub fua: bool,
}

/// A command that was understood.
#[derive(Clone, Copy)]
pub enum Parsed {
    Read(Range),
    /// `verify`: whether it is to be read back, and compared.
    Write {
        range: Range,
        verify: Option<bool>,
    },
    Verify {
        range: Range,
        compare: bool,
    },
    Flush,
    /// Bytes of the parameter list.
    Unmap(u32),
    Same {
        range: Range,
        unmap: bool,
        /// The blocks become zeroes, and no data comes with the command.
        no_data: bool,
    },
    Good,
    Refused(Sense),
    /// Not the ring's business.
    Other,
}

fn u16_at(cdb: &[u8; 16], at: usize) -> u64 {
    u64::from(u16::from_be_bytes([cdb[at], cdb[at + 1]]))
}

fn u32_at(cdb: &[u8; 16], at: usize) -> u64 {
    (u16_at(cdb, at) << 16) | u16_at(cdb, at + 2)
}

/// Length of a CDB by its group code; 0 where it has none of its own.
pub fn length_of(operation: u8) -> usize {
    match operation >> 5 {
        0 => 6,
        1 | 2 => 10,
        4 => 16,
        5 => 12,
        _ => 0,
    }
}

/// Address, length and FUA of the commands that have them where their group has them.
fn range_of(cdb: &[u8; 16]) -> Range {
    let fua = cdb[1] & 0x08 != 0;
    match cdb[0] >> 5 {
        0 => {
            let lba = u32_at(cdb, 0) & 0x1f_ffff;
            let blocks = if cdb[4] == 0 { 256 } else { u64::from(cdb[4]) };
            Range { lba, blocks, fua: false }
        }
        4 => Range { lba: (u32_at(cdb, 2) << 32) | u32_at(cdb, 6), blocks: u32_at(cdb, 10), fua },
        5 => Range { lba: u32_at(cdb, 2), blocks: u32_at(cdb, 6), fua },
        _ => Range { lba: u32_at(cdb, 2), blocks: u16_at(cdb, 7), fua },
    }
}

/// Protection information (RDPROTECT, VRPROTECT) is asked for; the unit offers none.
fn asks_for_protection(cdb: &[u8; 16]) -> bool {
    cdb[0] >> 5 != 0 && cdb[1] >> 5 != 0
}

/// BYTCHK: whether data is compared; none for what is not offered.
fn compares(cdb: &[u8; 16]) -> Option<bool> {
    match (cdb[1] >> 1) & 3 {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn transfer(medium: Medium, range: Range, then: Parsed) -> Parsed {
    match medium.refusal(range.lba, range.blocks) {
        Some(sense) => Parsed::Refused(sense),
        None if range.blocks > medium.transfer_blocks_max() => Parsed::Refused(INVALID_FIELD),
        None if range.blocks == 0 => Parsed::Good,
        None => then,
    }
}

fn same(cdb: &[u8; 16], medium: Medium) -> Parsed {
    let range = range_of(cdb);
    let (anchor, unmap) = (cdb[1] & 0x10 != 0, cdb[1] & 0x08 != 0);
    let no_data = cdb[0] == 0x93 && cdb[1] & 0x01 != 0;
    // 0 blocks would mean "to the end"; VPD page B0 says that this is not offered (WSNZ).
    if anchor || asks_for_protection(cdb) || range.blocks == 0 || (unmap && !medium.unmaps) {
        return Parsed::Refused(INVALID_FIELD);
    }
    match medium.refusal(range.lba, range.blocks) {
        Some(sense) => Parsed::Refused(sense),
        None => Parsed::Same { range, unmap, no_data },
    }
}

fn verify(cdb: &[u8; 16], medium: Medium) -> Parsed {
    let range = range_of(cdb);
    match compares(cdb) {
        Some(_) if asks_for_protection(cdb) => Parsed::Refused(INVALID_FIELD),
        Some(true) => transfer(medium, range, Parsed::Verify { range, compare: true }),
        Some(false) => match medium.refusal(range.lba, range.blocks) {
            Some(sense) => Parsed::Refused(sense),
            None if range.blocks == 0 => Parsed::Good,
            None => Parsed::Verify { range, compare: false },
        },
        None => Parsed::Refused(INVALID_FIELD),
    }
}

/// Understands a command.
pub fn parse(cdb: &[u8; 16], medium: Medium) -> Parsed {
    let changes = matches!(cdb[0], 0x0a | 0x2a | 0xaa | 0x8a | 0x2e | 0xae | 0x8e | 0x41 | 0x93 | 0x42);
    if changes && medium.read_only {
        return Parsed::Refused(WRITE_PROTECTED);
    }
    match cdb[0] {
        0x08 | 0x28 | 0xa8 | 0x88 if asks_for_protection(cdb) => Parsed::Refused(INVALID_FIELD),
        0x08 | 0x28 | 0xa8 | 0x88 => transfer(medium, range_of(cdb), Parsed::Read(range_of(cdb))),
        0x0a | 0x2a | 0xaa | 0x8a if asks_for_protection(cdb) => Parsed::Refused(INVALID_FIELD),
        0x0a | 0x2a | 0xaa | 0x8a => {
            transfer(medium, range_of(cdb), Parsed::Write { range: range_of(cdb), verify: None })
        }
        0x2e | 0xae | 0x8e => match compares(cdb) {
            Some(compare) if !asks_for_protection(cdb) => {
                let range = Range { fua: true, ..range_of(cdb) };
                transfer(medium, range, Parsed::Write { range, verify: Some(compare) })
            }
            _ => Parsed::Refused(INVALID_FIELD),
        },
        0x2f | 0xaf | 0x8f => verify(cdb, medium),
        0x35 | 0x91 => {
            let range = range_of(cdb);
            medium.refusal(range.lba, range.blocks).map_or(Parsed::Flush, Parsed::Refused)
        }
        0x41 | 0x93 => same(cdb, medium),
        0x42 if !medium.unmaps => Parsed::Refused(INVALID_OPCODE),
        0x42 if cdb[1] & 1 != 0 => Parsed::Refused(INVALID_FIELD),
        0x42 => Parsed::Unmap(u16_at(cdb, 7) as u32),
        _ => Parsed::Other,
    }
}
