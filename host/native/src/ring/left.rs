//! Commands that rings of this process had at the sg driver when they ended. The driver carries them out all the same, and a write among
//! them may come late. Their descriptors stay open until they have ended, so that this is known of each.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use napi_derive::napi;

use crate::sg::{SG_GET_NUM_WAITING, SG_GET_SCSI_ID, SgScsiId};

/// Commands of ended rings that have not ended.
#[napi(object)]
pub struct LeftCommands {
    /// host:channel:target:lun; empty where the device is gone.
    pub path: String,
    pub commands: u32,
}

struct Left {
    file: OwnedFd,
    path: String,
    commands: u32,
}

static LEFT: Mutex<Vec<Left>> = Mutex::new(Vec::new());

/// Takes a descriptor over with the commands that the driver has of it.
pub fn keep(file: OwnedFd, commands: usize) {
    let path = path_of(&file);
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    // Nobody may ever have asked about earlier ones.
    look(&mut left, ended);
    left.push(Left { file, path, commands: commands as u32 });
}

fn path_of(file: &OwnedFd) -> String {
    let mut id = SgScsiId::default();
    // SAFETY: the ioctl writes one struct sg_scsi_id.
    if unsafe { libc::ioctl(file.as_raw_fd(), SG_GET_SCSI_ID, &raw mut id) } != 0 {
        return String::new();
    }
    format!("{}:{}:{}:{}", id.host, id.channel, id.target, id.lun)
}

/// How many of a descriptor's commands have ended: their answers wait to be read. Reading them would need their memory.
fn ended(file: &OwnedFd) -> u32 {
    let mut count: libc::c_int = 0;
    // SAFETY: the ioctl writes one int.
    let status = unsafe { libc::ioctl(file.as_raw_fd(), SG_GET_NUM_WAITING, &raw mut count) };
    if status == 0 { count.max(0).cast_unsigned() } else { 0 }
}

/// What is left now. Descriptors whose commands have all ended are closed.
fn look(left: &mut Vec<Left>, ended: impl Fn(&OwnedFd) -> u32) -> Vec<LeftCommands> {
    let mut found = Vec::new();
    left.retain(|one| {
        let commands = one.commands.saturating_sub(ended(&one.file));
        if commands > 0 {
            found.push(LeftCommands { path: one.path.clone(), commands });
        }
        commands > 0
    });
    found
}

/// The commands of rings of this process that have ended, in whatever thread, which the sg driver still carries out.
#[napi(catch_unwind)]
pub fn left_commands() -> Vec<LeftCommands> {
    look(&mut LEFT.lock().unwrap_or_else(PoisonError::into_inner), ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> std::io::Result<OwnedFd> {
        std::fs::File::open("/dev/null").map(OwnedFd::from)
    }

    #[test]
    fn a_descriptor_is_kept_until_the_last_of_its_commands_has_ended() -> std::io::Result<()> {
        let mut left = Vec::new();
        for (path, commands) in [("4:0:0:1", 1), ("4:0:0:2", 3)] {
            left.push(Left { file: file()?, path: path.into(), commands });
        }
        let some = look(&mut left, |_| 1);
        assert_eq!(some.len(), 1);
        assert_eq!((some[0].path.as_str(), some[0].commands), ("4:0:0:2", 2));
        assert!(look(&mut left, |_| 3).is_empty());
        assert!(left.is_empty());
        Ok(())
    }

    #[test]
    fn where_the_driver_does_not_say_nothing_counts_as_ended() -> std::io::Result<()> {
        let file = file()?;
        assert_eq!(ended(&file), 0);
        assert_eq!(path_of(&file), "");
        Ok(())
    }
}
