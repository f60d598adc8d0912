//! Uevents: the kernel's notifications about devices that appear, change and disappear.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::thread;

use napi::Status;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use crate::error::{Code, Result, errno, error, system};
use crate::netlink;

/// The multicast group of the kernel, and that of udev, which repeats an event when its rules are done with it.
const KERNEL_GROUP: u32 = 1;
const UDEV_GROUP: u32 = 2;
/// How udev's messages begin (systemd, libsystemd/sd-device/device-monitor.c): this prefix and number, then, in the machine's byte
/// order, the length of the header, the offset of the properties, and their length.
const UDEV_PREFIX: &[u8] = b"libudev\0";
const UDEV_MAGIC: u32 = 0xfeed_cafe;
const UDEV_OFFSET_AT: usize = 16;
/// Room for the uevents of some thousand devices that appear at once.
static RECEIVE_BUFFER_BYTES: libc::c_int = 16 << 20;
const MESSAGE_BYTES_MAX: usize = 65536;

/// One uevent.
#[napi(object)]
pub struct Uevent {
    /// "add", "change", "remove", "move", "online", "offline", "bind", "unbind"; or "overflow" when the kernel had to
    /// drop uevents: then everything has to be scanned again.
    pub action: String,
    /// Whether udev says so: its rules are done with the device. The kernel has said it before.
    pub by_udev: bool,
    /// Path of the device below /sys; empty for "overflow".
    pub devpath: String,
    /// "scsi", "scsi_generic", "block", ...
    pub subsystem: String,
    /// All KEY=VALUE pairs of the message.
    pub properties: HashMap<String, String>,
}

type Callback = ThreadsafeFunction<Uevent, (), Uevent, Status, false, true>;

/// Calls back for every uevent of the kernel, and for what udev says of it, until it is closed. Does not keep the process alive.
#[napi]
pub struct UeventMonitor {
    /// Writing to it ends the thread.
    stop: Option<OwnedFd>,
}

#[napi]
impl UeventMonitor {
    #[napi(constructor, catch_unwind)]
    pub fn new(
        #[napi(ts_arg_type = "(event: Uevent) => void")] callback: ThreadsafeFunction<
            Uevent,
            (),
            Uevent,
            Status,
            false,
            true,
        >,
    ) -> Result<Self> {
        let flags = libc::SOCK_NONBLOCK;
        let socket = netlink::open(libc::NETLINK_KOBJECT_UEVENT, KERNEL_GROUP | UDEV_GROUP, flags)
            .map_err(|errno| system("uevents: netlink socket", errno))?;
        set_option(&socket, libc::SO_PASSCRED, &1)?;
        // Without CAP_NET_ADMIN the kernel's own limit applies; an overflow is then more likely, and is reported.
        let _ = set_option(&socket, libc::SO_RCVBUFFORCE, &RECEIVE_BUFFER_BYTES);
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(system("uevents: eventfd", errno()));
        }
        // SAFETY: `fd` was just opened and nobody else owns it.
        let stop = unsafe { OwnedFd::from_raw_fd(fd) };
        let stopped = stop.try_clone().map_err(|reason| error(Code::System, format!("uevents: {reason}")))?;
        let listen = move || listen(&socket, &stopped, &callback);
        let spawned = thread::Builder::new().name("pathmanager-uevents".into()).stack_size(256 * 1024).spawn(listen);
        spawned.map_err(|reason| error(Code::System, format!("uevents: cannot start a thread: {reason}")))?;
        Ok(UeventMonitor { stop: Some(stop) })
    }

    /// Stops; no callbacks follow those that are already queued. May be called again.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        if let Some(stop) = self.stop.take() {
            let one = 1u64;
            // SAFETY: `one` has the eight bytes that an eventfd takes.
            unsafe { libc::write(stop.as_raw_fd(), (&raw const one).cast(), 8) };
        }
    }
}

impl Drop for UeventMonitor {
    fn drop(&mut self) {
        self.close();
    }
}

fn set_option(socket: &OwnedFd, option: i32, value: &libc::c_int) -> Result<()> {
    let bytes = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` is a c_int that outlives the call.
    let status = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, std::ptr::from_ref(value).cast(), bytes)
    };
    if status == 0 { Ok(()) } else { Err(system("uevents: socket option", errno())) }
}

/// The monitor's thread: waits, parses, calls back. It makes no decisions.
fn listen(socket: &OwnedFd, stop: &OwnedFd, callback: &Callback) {
    let mut buffer = vec![0u8; MESSAGE_BYTES_MAX];
    let watch = |fd: RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    loop {
        let mut watched = [watch(socket.as_raw_fd()), watch(stop.as_raw_fd())];
        // SAFETY: `watched` has two entries.
        let ready = unsafe { libc::poll(watched.as_mut_ptr(), 2, -1) };
        if watched[1].revents != 0 || (ready < 0 && errno() != libc::EINTR) {
            return;
        }
        while let Some(event) = receive(socket.as_raw_fd(), &mut buffer) {
            if let Some(event) = event {
                callback.call(event, ThreadsafeFunctionCallMode::NonBlocking);
            }
        }
    }
}

/// The next message: none when there is none, `Some(None)` when it is from neither the kernel nor udev, or malformed.
fn receive(fd: RawFd, buffer: &mut [u8]) -> Option<Option<Uevent>> {
    // SAFETY: both are plain data for which all zeroes is a valid value.
    let (mut sender, mut message): (libc::sockaddr_nl, libc::msghdr) = unsafe { std::mem::zeroed() };
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = [0u64; 16];
    message.msg_name = (&raw mut sender).cast();
    message.msg_namelen = size_of::<libc::sockaddr_nl>() as u32;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: every pointer in `message` is valid during the call, with the length it states.
    let count = unsafe { libc::recvmsg(fd, &raw mut message, 0) };
    let Ok(count) = usize::try_from(count) else {
        return match errno() {
            libc::ENOBUFS => Some(Some(overflow())),
            libc::EINTR => Some(None),
            _ => None,
        };
    };
    if !sent_by_root(&message) {
        return Some(None);
    }
    let message = &buffer[..count];
    Some(match sender.nl_groups {
        KERNEL_GROUP if sender.nl_pid == 0 => parse(message),
        UDEV_GROUP if sender.nl_pid != 0 => parse_udev(message),
        _ => None,
    })
}

/// Whether the message's credentials are the superuser's. Any process may send to a netlink group that allows it; only
/// the kernel has port 0, and its credentials are root's. udev runs as root, too.
fn sent_by_root(message: &libc::msghdr) -> bool {
    // SAFETY: `message` was filled by recvmsg, so its control part is what CMSG_FIRSTHDR expects.
    let header = unsafe { libc::CMSG_FIRSTHDR(message) };
    if header.is_null() {
        return false;
    }
    // SAFETY: CMSG_FIRSTHDR returns null or a whole header within the control part.
    let (level, kind) = unsafe { ((*header).cmsg_level, (*header).cmsg_type) };
    if level != libc::SOL_SOCKET || kind != libc::SCM_CREDENTIALS {
        return false;
    }
    // SAFETY: a message of this type carries a ucred.
    let credentials = unsafe { libc::CMSG_DATA(header).cast::<libc::ucred>().read_unaligned() };
    credentials.uid == 0
}

fn overflow() -> Uevent {
    let (devpath, subsystem) = (String::new(), String::new());
    Uevent { action: "overflow".into(), by_udev: false, devpath, subsystem, properties: HashMap::new() }
}

/// `action@devpath`, then KEY=VALUE, each null-terminated.
fn parse(bytes: &[u8]) -> Option<Uevent> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let (action, devpath) = head.split_once('@')?;
    let properties = pairs(&bytes[end..]);
    Some(event(action.to_string(), devpath.to_string(), false, properties))
}

/// A header, then KEY=VALUE, each null-terminated; action and path are among them.
fn parse_udev(bytes: &[u8]) -> Option<Uevent> {
    let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok();
    let magic = u32::from_be_bytes(number(UDEV_PREFIX.len())?);
    if !bytes.starts_with(UDEV_PREFIX) || magic != UDEV_MAGIC {
        return None;
    }
    let offset = u32::from_ne_bytes(number(UDEV_OFFSET_AT)?) as usize;
    let length = u32::from_ne_bytes(number(UDEV_OFFSET_AT + 4)?) as usize;
    let properties = pairs(bytes.get(offset..)?.get(..length)?);
    let value = |key: &str| properties.get(key).cloned();
    Some(event(value("ACTION")?, value("DEVPATH")?, true, properties))
}

fn pairs(bytes: &[u8]) -> HashMap<String, String> {
    let parts = bytes.split(|&byte| byte == 0).map(String::from_utf8_lossy);
    parts.filter_map(|part| part.split_once('=').map(|(key, value)| (key.to_string(), value.to_string()))).collect()
}

fn event(action: String, devpath: String, by_udev: bool, properties: HashMap<String, String>) -> Uevent {
    let subsystem = properties.get("SUBSYSTEM").cloned().unwrap_or_default();
    Uevent { action, by_udev, devpath, subsystem, properties }
}
