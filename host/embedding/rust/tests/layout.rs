//! `sys` has the same sizes and places as the headers: a C compiler says so. Needs the kit's folder in `PATHMANAGER_KIT`, or above.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt::Write;
use std::io::Write as _;
use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pathmanager_embedded::sys;

macro_rules! places {
    ($text:ident, $name:ident: $($member:ident)*) => {
        $(writeln!($text, "_Static_assert(offsetof(struct {0}, {1}) == {2}, \"{0}.{1}\");",
            stringify!($name), stringify!($member), offset_of!(sys::$name, $member)).unwrap();)*
    };
}

macro_rules! whole {
    ($text:ident, $name:ident: $($member:ident)*) => {
        writeln!($text, "_Static_assert(sizeof(struct {0}) == {1}, \"{0}\");",
            stringify!($name), size_of::<sys::$name>()).unwrap();
        places!($text, $name: $($member)*);
    };
}

fn assertions() -> String {
    let mut text = String::new();
    for header in ["pathmanager.h", "port_memory.h", "port_sg.h"] {
        writeln!(text, "#include \"{header}\"").unwrap();
    }
    whole!(text, pm_limits: units paths requests commands events tags pool_bytes region_bytes);
    whole!(text, pm_options: limits seed now_ns memory memory_bytes);
    whole!(text, pm_command: tag cdb cdb_bytes direction data bytes timeout_ms);
    whole!(text, pm_result: status sense_bytes host_status driver_status residual sense error);
    whole!(text, pm_port_ops: submit reset poll deadline);
    whole!(text, pm_port: ops);
    whole!(text, pm_unit_config: block_bytes blocks capabilities policy identity identity_bytes io_timeout_ms
        no_path_timeout_ms read_only inherited);
    whole!(text, pm_io: unit operation flags offset bytes data cookie);
    whole!(text, pm_answer: cookie error held returned elsewhere tag);
    whole!(text, pm_event: kind reason unit path argument0 argument1 time_ns sense host_status);
    whole!(text, pm_path_info: flags unit priority in_flight orphans ios bytes_read bytes_written errors retries);
    whole!(text, pm_unit_info: flags paths usable requests waiting orphans answered failed latency_ns_max);
    whole!(text, pm_disk: data blocks block_bytes);
    places!(text, pm_memory_port: port disk fault latency_ns);
    places!(text, pm_sg_port: port);
    text
}

fn compiles(kit: &Path, text: &str) -> bool {
    let mut child = Command::new("gcc")
        .args(["-std=c11", "-D_GNU_SOURCE", "-fsyntax-only", "-x", "c", "-I"])
        .arg(kit)
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait().unwrap().success()
}

#[test]
fn the_layout_is_that_of_the_headers() {
    let kit = std::env::var_os("PATHMANAGER_KIT").map_or_else(|| PathBuf::from(".."), PathBuf::from);
    let text = assertions();
    assert!(compiles(&kit, &text));
    assert!(!compiles(&kit, &text.replacen("== 0", "== 1", 1)), "the compiler notices a difference");
}
