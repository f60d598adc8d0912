//! Units as SCSI devices of this machine: they have the identities of their own paths, so the kernel's target has to say which they are
//! (host/discovery/own-targets.ts).

use std::fs;
use std::path::Path;

const LOOPBACK: &str = "kernel/config/target/loopback";
/// What the names of our loopback targets begin with.
const TARGET: &str = "naa.5001405504d";
/// What the names of our stores begin with.
const STORE: &str = "pathmanager_";

/// Whether a disk, by its folder in sysfs, is a unit.
pub fn is_own(sysfs: &Path, disk: &Path) -> bool {
    let Ok(device) = fs::canonicalize(disk.join("device")) else { return false };
    let Some(number) = device.file_name().and_then(|name| name.to_str()) else { return false };
    let targets = fs::read_dir(sysfs.join(LOOPBACK)).into_iter().flatten().flatten();
    targets.map(|target| target.path()).any(|target| {
        let group = target.join("tpgt_1");
        let Ok(address) = fs::read_to_string(group.join("address")) else { return false };
        number.strip_suffix(":0") == Some(address.trim_end()) && is_ours(&target, &group)
    })
}

fn is_ours(target: &Path, group: &Path) -> bool {
    let begins = |name: &std::ffi::OsStr, with: &str| name.to_str().is_some_and(|name| name.starts_with(with));
    let stores = fs::read_dir(group.join("lun/lun_0")).into_iter().flatten().flatten();
    target.file_name().is_some_and(|name| begins(name, TARGET))
        || stores.into_iter().any(|store| begins(&store.file_name(), STORE))
}
