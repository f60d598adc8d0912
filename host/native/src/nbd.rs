//! Controls the kernel's nbd driver through its generic netlink family (linux/nbd-netlink.h).

use std::os::fd::OwnedFd;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::error::{Code, Result, error, system};
use crate::job::{NBD, promise};
use crate::netlink::{self, GENERIC_HEADER_BYTES, Request};

const VERSION: u8 = 1;

const COMMAND_CONNECT: u8 = 1;
const COMMAND_DISCONNECT: u8 = 2;
const COMMAND_RECONFIGURE: u8 = 3;
const COMMAND_STATUS: u8 = 5;

const ATTRIBUTE_INDEX: u16 = 1;
const ATTRIBUTE_SIZE_BYTES: u16 = 2;
const ATTRIBUTE_BLOCK_SIZE_BYTES: u16 = 3;
const ATTRIBUTE_TIMEOUT: u16 = 4;
const ATTRIBUTE_SERVER_FLAGS: u16 = 5;
const ATTRIBUTE_CLIENT_FLAGS: u16 = 6;
const ATTRIBUTE_SOCKETS: u16 = 7;
const ATTRIBUTE_DEAD_CONNECTION_TIMEOUT: u16 = 8;
const ATTRIBUTE_DEVICE_LIST: u16 = 9;
const ATTRIBUTE_BACKEND_IDENTIFIER: u16 = 10;
const ATTRIBUTE_SOCKET_ITEM: u16 = 1;
const ATTRIBUTE_SOCKET_FD: u16 = 1;
const ATTRIBUTE_DEVICE_ITEM: u16 = 1;
const ATTRIBUTE_DEVICE_INDEX: u16 = 1;
const ATTRIBUTE_DEVICE_CONNECTED: u16 = 2;

const CLIENT_DESTROY_ON_DISCONNECT: u64 = 1;
const CLIENT_DISCONNECT_ON_CLOSE: u64 = 2;

/// Maximum number of connections of a device: more than any multi-queue setup of a host uses.
const SOCKETS_MAX: usize = 256;

/// How a device is attached.
#[napi(object)]
#[derive(Clone, Default)]
pub struct NbdAttachOptions {
    /// N of /dev/nbdN; -1: the first free one.
    pub index: i32,
    /// Descriptors of connected, negotiated sockets; more than one requires a server that advertises CAN_MULTI_CONN.
    /// The kernel keeps its own references: close them afterwards.
    pub sockets: Vec<i32>,
    /// Size of the device in bytes, a multiple of `blockBytes`.
    pub size_bytes: f64,
    /// Logical block size: a power of two from 512 to 4096.
    pub block_bytes: u32,
    /// Transmission flags as negotiated (NBD_FLAG_*).
    pub server_flags: u32,
    /// Seconds after which a connection counts as dead when a request got no reply; 0 or omitted: never.
    pub timeout_seconds: Option<u32>,
    /// Seconds for which requests wait for a new connection after the last one died; 0 or omitted: they fail at once.
    pub dead_connection_timeout_seconds: Option<u32>,
    /// The device disappears when it is disconnected.
    pub destroy_on_disconnect: Option<bool>,
    /// It is disconnected when its last opener closes it.
    pub disconnect_on_close: Option<bool>,
    /// A name that has to be given again to reconnect (Linux 5.13 or later).
    pub identifier: Option<String>,
}

/// Changes to an attached device; omitted settings stay.
#[napi(object)]
pub struct NbdReconfigureOptions {
    /// New connections: each replaces a dead one.
    pub sockets: Option<Vec<i32>>,
    /// New size in bytes.
    pub size_bytes: Option<f64>,
    pub timeout_seconds: Option<u32>,
    pub dead_connection_timeout_seconds: Option<u32>,
    /// Has to equal the identifier given at attachment.
    pub identifier: Option<String>,
}

/// An nbd device known to the kernel.
#[napi(object)]
pub struct NbdDevice {
    /// N of /dev/nbdN.
    pub index: u32,
    pub connected: bool,
}

/// The number of the driver's family, and a socket to talk to it.
fn connect() -> Result<(OwnedFd, u16)> {
    let socket = netlink::open(libc::NETLINK_GENERIC, 0, 0).map_err(|errno| system("netlink socket", errno))?;
    match netlink::family(&socket, "nbd") {
        Ok(family) => Ok((socket, family)),
        Err(libc::ENOENT) => {
            Err(error(Code::NbdUnavailable, "the kernel's nbd driver is not loaded; run `modprobe nbd` as root"))
        }
        Err(errno) => Err(system("netlink family nbd", errno)),
    }
}

fn request(index: Option<u32>, command: u8, fill: impl FnOnce(&mut Request)) -> Result<Vec<Vec<u8>>> {
    let (socket, family) = connect()?;
    let mut request = Request::new(family, command, VERSION);
    if let Some(index) = index {
        request.attribute(ATTRIBUTE_INDEX, &index.to_ne_bytes());
    }
    fill(&mut request);
    let mut replies = Vec::new();
    let outcome = netlink::exchange(&socket, &mut request, |payload| {
        replies.push(payload.get(GENERIC_HEADER_BYTES..).unwrap_or(&[]).to_vec());
    });
    outcome.map(|()| replies).map_err(|errno| explain(command, index, errno))
}

/// The meaning of the driver's errno, and what to do.
fn explain(command: u8, index: Option<u32>, errno: i32) -> crate::error::Error {
    let device = index.map_or("a free nbd device".to_string(), |index| format!("/dev/nbd{index}"));
    let what = match command {
        COMMAND_CONNECT => format!("attaching {device}"),
        COMMAND_DISCONNECT => format!("detaching {device}"),
        COMMAND_RECONFIGURE => format!("changing {device}"),
        _ => "asking for the nbd devices".to_string(),
    };
    let hint = match (command, errno) {
        (_, libc::EPERM) => "; this needs the capability CAP_SYS_ADMIN",
        (COMMAND_CONNECT, libc::EBUSY) => "; it is attached already, detach it first or choose another index",
        (COMMAND_CONNECT, libc::EINVAL) => "; see the kernel log: a socket, the size or the block size was refused",
        (COMMAND_RECONFIGURE, libc::EINVAL) => "; it is not attached, or its identifier is another",
        (COMMAND_RECONFIGURE, libc::ENOSPC) => "; none of its connections is dead, so none can be replaced",
        (_, libc::ENOENT | libc::ENODEV | libc::EINVAL) => "; there is no such device",
        _ => "",
    };
    let reason = std::io::Error::from_raw_os_error(errno);
    error(Code::System, format!("{what}: {reason}{hint}"))
}

fn whole(name: &str, value: f64) -> Result<u64> {
    if value >= 0.0 && value.fract() == 0.0 && value <= (1u64 << 53) as f64 {
        return Ok(value as u64);
    }
    Err(error(Code::Argument, format!("{name}: {value} is no whole number of bytes from 0 to 2^53")))
}

fn check_sockets(sockets: &[i32]) -> Result<()> {
    if sockets.is_empty() || sockets.len() > SOCKETS_MAX {
        let message = format!("sockets: {} were given; from 1 to {SOCKETS_MAX} can be used", sockets.len());
        return Err(error(Code::Argument, message));
    }
    Ok(())
}

fn add_sockets(request: &mut Request, sockets: &[i32]) {
    request.nested(ATTRIBUTE_SOCKETS, |list| {
        for fd in sockets {
            list.nested(ATTRIBUTE_SOCKET_ITEM, |item| {
                item.attribute(ATTRIBUTE_SOCKET_FD, &fd.to_ne_bytes());
            });
        }
    });
}

fn add_u64(request: &mut Request, kind: u16, value: Option<u64>) {
    if let Some(value) = value {
        request.attribute(kind, &value.to_ne_bytes());
    }
}

fn add_identifier(request: &mut Request, identifier: Option<&str>) {
    if let Some(name) = identifier {
        let mut text = name.as_bytes().to_vec();
        text.push(0);
        request.attribute(ATTRIBUTE_BACKEND_IDENTIFIER, &text);
    }
}

fn attach(options: &NbdAttachOptions) -> Result<u32> {
    check_sockets(&options.sockets)?;
    let size = whole("sizeBytes", options.size_bytes)?;
    let block = options.block_bytes;
    if !block.is_power_of_two() || !(512..=4096).contains(&block) || size % u64::from(block) != 0 {
        let message = format!("blockBytes: {block} is no power of two from 512 to 4096 that divides sizeBytes {size}");
        return Err(error(Code::Argument, message));
    }
    let index = u32::try_from(options.index).ok();
    let destroy = if options.destroy_on_disconnect == Some(true) { CLIENT_DESTROY_ON_DISCONNECT } else { 0 };
    let on_close = if options.disconnect_on_close == Some(true) { CLIENT_DISCONNECT_ON_CLOSE } else { 0 };
    let replies = request(index, COMMAND_CONNECT, |request| {
        add_u64(request, ATTRIBUTE_SIZE_BYTES, Some(size));
        add_u64(request, ATTRIBUTE_BLOCK_SIZE_BYTES, Some(block.into()));
        add_u64(request, ATTRIBUTE_SERVER_FLAGS, Some(options.server_flags.into()));
        add_u64(request, ATTRIBUTE_CLIENT_FLAGS, Some(destroy | on_close));
        add_u64(request, ATTRIBUTE_TIMEOUT, options.timeout_seconds.map(u64::from));
        let dead = options.dead_connection_timeout_seconds.map(u64::from);
        add_u64(request, ATTRIBUTE_DEAD_CONNECTION_TIMEOUT, dead);
        add_identifier(request, options.identifier.as_deref());
        add_sockets(request, &options.sockets);
    })?;
    let indexes = replies.iter().flat_map(|reply| netlink::attributes(reply));
    let answered =
        indexes.filter(|(kind, _)| *kind == ATTRIBUTE_INDEX).find_map(|(_, value)| netlink::u32_at(value, 0));
    answered.or(index).ok_or_else(|| error(Code::System, "attaching: the nbd driver named no device"))
}

/// Attaches a block device of the kernel's nbd driver to connected sockets; returns N of /dev/nbdN. Needs
/// CAP_SYS_ADMIN. The server must already be serving, because the kernel may read at once.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn nbd_attach<'env>(env: &'env Env, options: NbdAttachOptions) -> Result<Object<'env>> {
    promise(env, &NBD, move || attach(&options))
}

/// Changes an attached device: replaces dead connections, sets a new size or new timeouts.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn nbd_reconfigure<'env>(env: &'env Env, index: u32, options: NbdReconfigureOptions) -> Result<Object<'env>> {
    promise(env, &NBD, move || {
        let size = options.size_bytes.map(|bytes| whole("sizeBytes", bytes)).transpose()?;
        if let Some(sockets) = &options.sockets {
            check_sockets(sockets)?;
        }
        request(Some(index), COMMAND_RECONFIGURE, |request| {
            add_u64(request, ATTRIBUTE_SIZE_BYTES, size);
            add_u64(request, ATTRIBUTE_TIMEOUT, options.timeout_seconds.map(u64::from));
            let dead = options.dead_connection_timeout_seconds.map(u64::from);
            add_u64(request, ATTRIBUTE_DEAD_CONNECTION_TIMEOUT, dead);
            add_identifier(request, options.identifier.as_deref());
            if let Some(sockets) = &options.sockets {
                add_sockets(request, sockets);
            }
        })?;
        Ok(())
    })
}

/// Detaches /dev/nbd`index`: the driver sends DISC, shuts down the connections, and fails requests in flight with EIO.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn nbd_detach<'env>(env: &'env Env, index: u32) -> Result<Object<'env>> {
    promise(env, &NBD, move || request(Some(index), COMMAND_DISCONNECT, |_| {}).map(|_| ()))
}

/// The kernel's nbd devices, or only the one with this index, and whether each is connected.
#[napi(catch_unwind, ts_return_type = "Promise<NbdDevice[]>")]
pub fn nbd_status<'env>(env: &'env Env, index: Option<u32>) -> Result<Object<'env>> {
    promise(env, &NBD, move || {
        let replies = request(index, COMMAND_STATUS, |_| {})?;
        let lists = replies.iter().flat_map(|reply| netlink::attributes(reply));
        let items =
            lists.filter(|(kind, _)| *kind == ATTRIBUTE_DEVICE_LIST).flat_map(|(_, list)| netlink::attributes(list));
        let items = items.filter(|(kind, _)| *kind == ATTRIBUTE_DEVICE_ITEM);
        Ok(items.filter_map(|(_, item)| device(item)).collect::<Vec<NbdDevice>>())
    })
}

fn device(item: &[u8]) -> Option<NbdDevice> {
    let find = |wanted: u16| netlink::attributes(item).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let index = netlink::u32_at(find(ATTRIBUTE_DEVICE_INDEX)?, 0)?;
    Some(NbdDevice {
        index,
        connected: find(ATTRIBUTE_DEVICE_CONNECTED).is_some_and(|value| value.first() == Some(&1)),
    })
}
