//! Netlink sockets and messages, as far as needed for generic netlink families and uevents.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::error::errno;

/// Errno of a failed exchange.
pub type Outcome<T> = std::result::Result<T, i32>;

const MESSAGE_HEADER_BYTES: usize = 16;
const ATTRIBUTE_HEADER_BYTES: usize = 4;
/// Generic netlink: command u8, version u8, reserved u16.
pub const GENERIC_HEADER_BYTES: usize = 4;
/// The part of an attribute's type field that is the type.
const ATTRIBUTE_TYPE_MASK: u16 = 0x3fff;
const NESTED: u16 = 0x8000;

const CONTROL_FAMILY: u16 = 16;
const CONTROL_GET_FAMILY: u8 = 3;
const CONTROL_ATTRIBUTE_FAMILY_ID: u16 = 1;
const CONTROL_ATTRIBUTE_FAMILY_NAME: u16 = 2;

/// A netlink request under construction: header, generic header, attributes.
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    pub fn new(family: u16, command: u8, version: u8) -> Self {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        let mut bytes = vec![0u8; 4];
        bytes.extend(family.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(1u32.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend([command, version, 0, 0]);
        Request { bytes }
    }

    pub fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = (ATTRIBUTE_HEADER_BYTES + value.len()) as u16;
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    pub fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend([0u8; 2]);
        self.bytes.extend((kind | NESTED).to_ne_bytes());
        fill(self);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    fn finish(&mut self) -> &[u8] {
        let length = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        &self.bytes
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The attributes in `bytes`, up to the first that does not fit.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & ATTRIBUTE_TYPE_MASK;
        let value = rest.get(ATTRIBUTE_HEADER_BYTES..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

/// Opens a netlink socket of `protocol`, bound to the multicast `groups` (a mask).
pub fn open(protocol: i32, groups: u32, flags: i32) -> Outcome<OwnedFd> {
    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC | flags, protocol) };
    if fd < 0 {
        return Err(errno());
    }
    // SAFETY: `fd` was just opened and nobody else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: sockaddr_nl is plain data for which all zeroes is a valid value.
    let mut address = unsafe { std::mem::zeroed::<libc::sockaddr_nl>() };
    address.nl_family = libc::AF_NETLINK as u16;
    address.nl_groups = groups;
    let bytes = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
    // SAFETY: `address` is a sockaddr_nl of `bytes` bytes.
    if unsafe { libc::bind(fd, (&raw const address).cast(), bytes) } != 0 {
        return Err(errno());
    }
    Ok(socket)
}

fn receive(fd: RawFd, into: &mut [u8]) -> Outcome<usize> {
    // SAFETY: `into` has room for its length.
    let count = unsafe { libc::recv(fd, into.as_mut_ptr().cast(), into.len(), 0) };
    usize::try_from(count).map_err(|_| errno())
}

/// Sends a request to the kernel and passes each reply's payload to `reply`, until the kernel acknowledges the request.
pub fn exchange(socket: &OwnedFd, request: &mut Request, mut reply: impl FnMut(&[u8])) -> Outcome<()> {
    let fd = socket.as_raw_fd();
    let bytes = request.finish();
    // SAFETY: `bytes` can be read over its length.
    if unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), 0) } < 0 {
        return Err(errno());
    }
    let mut buffer = vec![0u8; 65536];
    loop {
        let count = match receive(fd, &mut buffer) {
            Err(libc::EINTR) => continue,
            other => other?,
        };
        let mut rest = buffer.get(..count).ok_or(libc::EPROTO)?;
        while !rest.is_empty() {
            let length = u32_at(rest, 0).ok_or(libc::EPROTO)? as usize;
            let kind = u16_at(rest, 4).ok_or(libc::EPROTO)?;
            let payload = rest.get(MESSAGE_HEADER_BYTES..length).ok_or(libc::EPROTO)?;
            if i32::from(kind) == libc::NLMSG_ERROR {
                let status = u32_at(payload, 0).ok_or(libc::EPROTO)?.cast_signed();
                return if status == 0 { Ok(()) } else { Err(-status) };
            }
            reply(payload);
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        }
    }
}

/// The number of a generic netlink family. ENOENT: no driver provides it.
pub fn family(socket: &OwnedFd, name: &str) -> Outcome<u16> {
    let mut text = name.as_bytes().to_vec();
    text.push(0);
    let mut request = Request::new(CONTROL_FAMILY, CONTROL_GET_FAMILY, 1);
    request.attribute(CONTROL_ATTRIBUTE_FAMILY_NAME, &text);
    let mut found = None;
    exchange(socket, &mut request, |payload| {
        let body = payload.get(GENERIC_HEADER_BYTES..).unwrap_or(&[]);
        let id = attributes(body).find(|(kind, _)| *kind == CONTROL_ATTRIBUTE_FAMILY_ID);
        found = id.and_then(|(_, value)| u16_at(value, 0)).or(found);
    })?;
    found.ok_or(libc::EPROTO)
}
