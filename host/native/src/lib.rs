//! The native addon of PathManager: everything that touches the machine, and no policy.

// When the linter compiles for tests, the export macros do nothing and everything seems unused.
#![cfg_attr(test, allow(dead_code))]

mod abi;
mod clock;
mod datagram;
mod descriptor;
mod device_file;
mod error;
mod exposition;
mod handover;
mod hot;
mod job;
mod media;
mod memory;
mod nbd;
mod netlink;
mod output;
mod process;
mod records;
mod registry;
mod ring;
mod scsi;
mod sg;
mod ublk;
mod uevent;
mod written;
