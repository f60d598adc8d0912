//! Tells udev which block devices belong to PathManager (60-pathmanager.rules): `pathmanager_id sdb` for a disk that may be a path, or a unit,
//! `pathmanager_id nbd0` or `pathmanager_id ublkb0` for a device that may be a unit's. It prints properties and ends with status 0 if so, and with 1 if not.
//!
//! It runs for every event of every disk, also in an initramfs and while no daemon runs: it sends no command to a device, and
//! needs nothing but sysfs and the table of units that the daemon writes.

mod identity;
mod properties;
mod target;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use identity::Pages;
use properties::Unit;

/// The daemon's table: the first that is there counts. The second survives a reboot.
const TABLES: [&str; 2] = ["/run/pathmanager/units", "/etc/pathmanager/units"];
const SYSFS: &str = "/sys";
/// What the daemon tells the kernel's nbd driver about the unit, before its identity.
const BACKEND: &str = "pathmanager ";
/// What the names of ublk's devices begin with. Their driver keeps nothing of ours: the table names them.
const UBLK: &str = "ublkb";

const USAGE: &str = "usage: pathmanager_id NAME [--sysfs FOLDER] [--table FILE]
       pathmanager_id --list [--sysfs FOLDER]
NAME is the kernel's name of a block device: sdb, nbd0, ublkb0. Prints udev properties if it belongs to PathManager; otherwise the exit
status is 1. --list prints the identity of every disk.";

struct Wanted {
    /// None: all are listed.
    name: Option<String>,
    sysfs: String,
    tables: Vec<String>,
}

fn main() -> ExitCode {
    let Some(wanted) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let blocks = Path::new(&wanted.sysfs).join("block");
    let Some(name) = wanted.name else {
        list(&blocks);
        return ExitCode::SUCCESS;
    };
    let Some(found) = properties(&blocks, &name, &wanted.tables) else { return ExitCode::FAILURE };
    for (key, value) in found {
        println!("{key}={value}");
    }
    ExitCode::SUCCESS
}

fn parse(mut args: impl Iterator<Item = String>) -> Option<Wanted> {
    let first = args.next()?;
    let is_name = !first.starts_with('-') && !first.contains('/');
    if !is_name && first != "--list" {
        return None;
    }
    let mut wanted =
        Wanted { name: is_name.then_some(first), sysfs: SYSFS.into(), tables: TABLES.map(String::from).into() };
    while let Some(option) = args.next() {
        match option.as_str() {
            "--sysfs" => wanted.sysfs = args.next()?,
            "--table" => wanted.tables = vec![args.next()?],
            _ => return None,
        }
    }
    Some(wanted)
}

/// Every disk whose identity can be told, each with it.
fn list(blocks: &Path) {
    let entries = fs::read_dir(blocks).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    for name in names {
        if let Some(identity) = identity::identity_of(&pages_of(&blocks.join(&name).join("device"))) {
            println!("{name}\t{identity}");
        }
    }
}

/// None: the device is none of PathManager's.
fn properties(blocks: &Path, name: &str, tables: &[String]) -> Option<Vec<(&'static str, String)>> {
    let folder = blocks.join(name);
    let table = || tables.iter().find_map(|file| fs::read_to_string(file).ok()).unwrap_or_default();
    if let Ok(backend) = fs::read_to_string(folder.join("backend")) {
        let told = backend.trim_end_matches('\n').strip_prefix(BACKEND)?.to_string();
        let table = table();
        let unit = Unit::find(&table, &told);
        let identity = unit.as_ref().map_or(told.as_str(), |unit| unit.identity);
        return Some(properties::of_device(identity, unit.as_ref()));
    }
    if name.starts_with(UBLK) {
        let table = table();
        return Unit::with_device(&table, name).map(|unit| properties::of_device(unit.identity, Some(&unit)));
    }
    let identity = identity::identity_of(&pages_of(&folder.join("device")))?;
    let table = table();
    let unit = Unit::find(&table, &identity);
    if blocks.parent().is_some_and(|sysfs| target::is_own(sysfs, &folder)) {
        return Some(properties::of_device(&identity, unit.as_ref()));
    }
    unit.map(|unit| properties::of_path(&unit))
}

fn pages_of(device: &Path) -> Pages {
    let read = |name: &str| fs::read(device.join(name)).ok();
    Pages { inquiry: read("inquiry").unwrap_or_default(), identification: read("vpd_pg83"), serial: read("vpd_pg80") }
}
