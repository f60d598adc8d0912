//! Who a SCSI device is, from the pages the kernel has kept of it. The same rules as host/discovery/canonical-identity.ts and designators.ts;
//! a property test compares them.

const PAGE_SERIAL: u8 = 0x80;
const PAGE_IDENTIFICATION: u8 = 0x83;
const IDENTITY_BYTES_MAX: usize = 256;
/// What precedes the designator, or the serial number, in the canonical bytes.
const HEAD_BYTES: usize = 2;
const BINARY: u8 = 1;
const TEXT_FROM: u8 = 0x20;
const TEXT_TO: u8 = 0x7e;

/// What the kernel has kept of a device.
pub struct Pages {
    pub inquiry: Vec<u8>,
    /// None: the device has no page 0x83, or it was not kept.
    pub identification: Option<Vec<u8>>,
    pub serial: Option<Vec<u8>>,
}

/// The canonical text of the unit's identity, None when nothing identifies it. The serial number counts where page 0x83 names no
/// unit, never where that page makes no sense.
pub fn identity_of(pages: &Pages) -> Option<String> {
    let named = match pages.identification.as_deref() {
        Some(page) => by_designators(payload(page, PAGE_IDENTIFICATION)?)?,
        None => None,
    };
    named.or_else(|| by_serial(&pages.inquiry, payload(pages.serial.as_deref()?, PAGE_SERIAL)?))
}

/// What follows the header of the page asked for, if all of it is there.
fn payload(data: &[u8], page: u8) -> Option<&[u8]> {
    if data.len() < 4 || data[1] != page {
        return None;
    }
    let length = usize::from(data[2]) << 8 | usize::from(data[3]);
    data.get(4..4 + length)
}

/// The designator that is unique among most units; among equals the largest. None: the list makes no sense.
fn by_designators(mut rest: &[u8]) -> Option<Option<String>> {
    let mut best: Option<(u8, String)> = None;
    while !rest.is_empty() {
        let header = rest.get(..4)?;
        let bytes = rest.get(4..4 + usize::from(header[3]))?;
        let (code_set, association, kind) = (header[0] & 0x0f, header[1] >> 4 & 3, header[1] & 0x0f);
        rest = &rest[4 + bytes.len()..];
        if association != 0 {
            continue;
        }
        let Some((rank, text)) = candidate(kind, code_set, bytes) else { continue };
        let is_better = best.as_ref().is_none_or(|(other, known)| rank < *other || (rank == *other && text > *known));
        if is_better {
            best = Some((rank, text));
        }
    }
    Some(best.map(|(_, text)| text))
}

fn candidate(kind: u8, code_set: u8, bytes: &[u8]) -> Option<(u8, String)> {
    if bytes.is_empty() || is_blank(bytes) {
        return None;
    }
    match kind {
        1 => t10(bytes),
        2 => eui(bytes, code_set),
        3 => naa(bytes, code_set),
        8 => name(bytes),
        10 => uuid(bytes, code_set),
        _ => None,
    }
}

fn naa(bytes: &[u8], code_set: u8) -> Option<(u8, String)> {
    let kind = bytes[0] >> 4;
    let rank = match kind {
        6 => 0,
        5 => 1,
        2 => 2,
        3 => 40,
        _ => return None,
    };
    if code_set != BINARY || bytes.len() != if kind == 6 { 16 } else { 8 } {
        return None;
    }
    let digits = hex(bytes);
    let own = match kind {
        3 => digits[1..].to_string(),
        2 => format!("{}{}", &digits[1..4], &digits[10..]),
        _ => digits[7..].to_string(),
    };
    (!is_filler(&own)).then(|| (rank, format!("naa.{digits}")))
}

fn eui(bytes: &[u8], code_set: u8) -> Option<(u8, String)> {
    if code_set != BINARY || ![8, 12, 16].contains(&bytes.len()) {
        return None;
    }
    let digits = hex(bytes);
    let company = if bytes.len() == 16 { 16 } else { 0 };
    let own = format!("{}{}", &digits[..company], &digits[company + 6..]);
    (!is_filler(&own)).then(|| (10, format!("eui.{digits}")))
}

fn uuid(bytes: &[u8], code_set: u8) -> Option<(u8, String)> {
    if bytes.len() != 18 || bytes[0] != 0x10 || bytes[1] != 0 || code_set != BINARY {
        return None;
    }
    let digits = hex(&bytes[2..]);
    if is_filler(&digits) {
        return None;
    }
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Some((20, format!("uuid.{}", parts.join("-"))))
}

fn t10(bytes: &[u8]) -> Option<(u8, String)> {
    let name = without_padding(bytes);
    if bytes.len() <= 8 || is_blank(&bytes[8..]) || name.len() > IDENTITY_BYTES_MAX - HEAD_BYTES {
        return None;
    }
    Some((30, format!("t10.{}", readable(name))))
}

fn name(bytes: &[u8]) -> Option<(u8, String)> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let name = without_padding(&bytes[..end]);
    let text = readable(name);
    let rest = ["iqn.", "eui.", "naa.", "uuid."].iter().find_map(|kind| text.strip_prefix(kind))?;
    let is_plain = !rest.is_empty() && rest.bytes().all(|byte| byte > TEXT_FROM && byte <= TEXT_TO);
    if !is_plain || name.len() > IDENTITY_BYTES_MAX - HEAD_BYTES {
        return None;
    }
    Some((50, if text.starts_with("iqn.") { text } else { format!("name.{text}") }))
}

/// Vendor, product and serial number together, for devices whose page 0x83 names no unit.
fn by_serial(inquiry: &[u8], page: &[u8]) -> Option<String> {
    let nothing = |&byte: &u8| byte == 0 || byte == b' ' || byte == b'0';
    if is_blank(page) || page.iter().all(nothing) {
        return None;
    }
    let start = page.iter().position(|&byte| !is_padding(byte))?;
    let serial = without_padding(&page[start..]);
    if serial.len() > IDENTITY_BYTES_MAX - HEAD_BYTES {
        return None;
    }
    let (vendor, product) = (inquiry.get(8..16)?, inquiry.get(16..32)?);
    Some(format!("serial.{}:{}:{}", field(vendor), field(product), readable(serial)))
}

/// A field that another one follows must not contain the separator.
fn field(bytes: &[u8]) -> String {
    let text = readable(bytes);
    if text.contains(':') { format!("0x{}", hex(without_padding(bytes))) } else { text }
}

/// Text if it is plain, else hexadecimal digits, so that different bytes look different.
fn readable(bytes: &[u8]) -> String {
    let name = without_padding(bytes);
    let is_plain = name.iter().all(|byte| (TEXT_FROM..=TEXT_TO).contains(byte)) && !name.starts_with(b"0x");
    if is_plain { String::from_utf8_lossy(name).into_owned() } else { format!("0x{}", hex(name)) }
}

fn is_padding(byte: u8) -> bool {
    byte == 0 || byte == b' '
}

fn without_padding(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| !is_padding(byte)).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// Zeroes, blanks, or all ones, as unprogrammed memory reads.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| is_padding(byte)) || bytes.iter().all(|&byte| byte == 0xff)
}

/// Digits that were never filled in.
fn is_filler(digits: &str) -> bool {
    digits.bytes().all(|digit| digit == b'0') || digits.bytes().all(|digit| digit == b'f')
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
