//! `pathmanager.h`, `port_memory.h` and `port_sg.h` as they are; `tests/layout.rs` compares them. For ports of your own and for
//! what the safe side does not offer.
#![allow(non_camel_case_types)]

use std::ffi::{c_char, c_int, c_void};

/// An open host; C alone knows what is in it.
#[repr(C)]
pub struct pm_host {
    _inside: [u8; 0],
}

/// Limits for which everything is laid out once: see the comments of `struct pm_limits` in `pathmanager.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct pm_limits {
    pub units: u32,
    pub paths: u32,
    pub requests: u32,
    pub commands: u32,
    pub events: u32,
    pub tags: u32,
    pub pool_bytes: u32,
    pub region_bytes: u32,
}

#[repr(C)]
pub struct pm_options {
    pub limits: pm_limits,
    pub seed: u64,
    pub now_ns: u64,
    pub memory: *mut c_void,
    pub memory_bytes: usize,
}

#[repr(C)]
pub struct pm_command {
    pub tag: u32,
    pub cdb: *const u8,
    pub cdb_bytes: u8,
    pub direction: u8,
    pub data: *mut c_void,
    pub bytes: u32,
    pub timeout_ms: u32,
}

#[repr(C)]
pub struct pm_result {
    pub status: u8,
    pub sense_bytes: u8,
    pub host_status: u16,
    pub driver_status: u16,
    pub residual: i32,
    pub sense: *const u8,
    pub error: c_int,
}

#[repr(C)]
pub struct pm_port_ops {
    pub submit: Option<unsafe extern "C" fn(*mut pm_port, *mut pm_host, *const pm_command)>,
    pub reset: Option<unsafe extern "C" fn(*mut pm_port, *mut pm_host, u32, u32)>,
    pub poll: Option<unsafe extern "C" fn(*mut pm_port, *mut pm_host, u64)>,
    pub deadline: Option<unsafe extern "C" fn(*const pm_port) -> u64>,
}

#[repr(C)]
pub struct pm_port {
    pub ops: *const pm_port_ops,
}

#[repr(C)]
pub struct pm_unit_config {
    pub block_bytes: u32,
    pub blocks: u64,
    pub capabilities: u32,
    pub policy: u32,
    pub identity: *const u8,
    pub identity_bytes: u32,
    pub io_timeout_ms: u32,
    pub no_path_timeout_ms: u32,
    pub read_only: bool,
    pub inherited: bool,
}

#[repr(C)]
pub struct pm_io {
    pub unit: u32,
    pub operation: u32,
    pub flags: u32,
    pub offset: u64,
    pub bytes: u64,
    pub data: *mut c_void,
    pub cookie: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pm_answer {
    pub cookie: u64,
    pub error: c_int,
    pub held: bool,
    pub returned: bool,
    pub elsewhere: bool,
    pub tag: u32,
}

/// Something that happened: `EVENT_*` and `REASON_*` of [`crate::abi`]; `u32::MAX`: no unit or path.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pm_event {
    pub kind: u32,
    pub reason: u32,
    pub unit: u32,
    pub path: u32,
    pub argument0: u32,
    pub argument1: u32,
    pub time_ns: u64,
    pub sense: [u8; 4],
    pub host_status: u16,
}

/// Statistics of a path; flags: `PATH_FLAG_*` of [`crate::abi`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pm_path_info {
    pub flags: u32,
    pub unit: u32,
    pub priority: u32,
    pub in_flight: u32,
    pub orphans: u32,
    pub ios: u64,
    pub bytes_read: u64,
    pub bytes_written: u64,
    pub errors: u64,
    pub retries: u64,
}

/// Statistics of a unit; `paths` and `usable` are masks.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pm_unit_info {
    pub flags: u32,
    pub paths: u32,
    pub usable: u32,
    pub requests: u32,
    pub waiting: u32,
    pub orphans: u32,
    pub answered: u64,
    pub failed: u64,
    pub latency_ns_max: u64,
}

#[repr(C)]
pub struct pm_disk {
    pub data: *mut u8,
    pub blocks: u64,
    pub block_bytes: u32,
}

/// The first members of the emulated port; the whole of it has `pm_memory_port_bytes`.
#[repr(C)]
pub struct pm_memory_port {
    pub port: pm_port,
    pub disk: *mut pm_disk,
    pub fault: u32,
    pub latency_ns: u64,
}

/// The first member of a port of SCSI generic; the whole of it has `pm_sg_port_bytes`.
#[repr(C)]
pub struct pm_sg_port {
    pub port: pm_port,
}

unsafe extern "C" {
    pub static pm_tiny: pm_limits;
    pub static pm_appliance: pm_limits;
    pub static pm_server: pm_limits;
    pub static pm_memory_identity: [u8; 10];
    pub static pm_memory_port_bytes: usize;
    pub static pm_sg_port_bytes: usize;

    pub fn pm_error_text(error: c_int) -> *const c_char;
    pub fn pm_open(host: *mut *mut pm_host, options: *const pm_options) -> c_int;
    pub fn pm_close(host: *mut pm_host) -> c_int;
    pub fn pm_abandon(host: *mut pm_host);
    pub fn pm_failure(host: *mut pm_host) -> *const c_char;
    pub fn pm_complete(host: *mut pm_host, tag: u32, result: *const pm_result) -> c_int;
    pub fn pm_complete_reset(host: *mut pm_host, tag: u32, error: c_int) -> c_int;
    pub fn pm_unit_add(host: *mut pm_host, config: *const pm_unit_config) -> c_int;
    pub fn pm_unit_set(host: *mut pm_host, unit: u32, property: u32, value: i64) -> c_int;
    pub fn pm_unit_remove(host: *mut pm_host, unit: u32) -> c_int;
    pub fn pm_path_add(host: *mut pm_host, unit: u32, port: *mut pm_port, priority: u32, depth: u32) -> c_int;
    pub fn pm_path_set(host: *mut pm_host, path: u32, property: u32, value: i64) -> c_int;
    pub fn pm_path_remove(host: *mut pm_host, path: u32) -> c_int;
    pub fn pm_port_idle(host: *mut pm_host, port: *const pm_port) -> bool;
    pub fn pm_submit(host: *mut pm_host, io: *const pm_io) -> c_int;
    pub fn pm_poll(host: *mut pm_host, answers: *mut pm_answer, count: c_int) -> c_int;
    pub fn pm_turn(host: *mut pm_host, now_ns: u64) -> c_int;
    pub fn pm_next_deadline(host: *mut pm_host) -> u64;
    pub fn pm_next_event(host: *mut pm_host, event: *mut pm_event) -> bool;
    pub fn pm_events_lost(host: *mut pm_host) -> u64;
    pub fn pm_path_info(host: *mut pm_host, path: u32, info: *mut pm_path_info) -> c_int;
    pub fn pm_unit_info(host: *mut pm_host, unit: u32, info: *mut pm_unit_info) -> c_int;
    pub fn pm_memory_port_init(port: *mut pm_memory_port, disk: *mut pm_disk) -> c_int;
    pub fn pm_sg_open(port: *mut pm_sg_port, device: *const c_char, depth: u32) -> c_int;
    pub fn pm_sg_close(port: *mut pm_sg_port);
    pub fn pm_sg_wait(ports: *const *mut pm_sg_port, count: c_int, deadline_ns: u64);
    pub fn pm_clock_ns() -> u64;
}
