//! The native addon of PathManager: what touches the machine, and no policy at all.

#![allow(dead_code)] // Until the ports are in.

mod abi;
mod clock;
mod datagram;
mod descriptor;
mod error;
mod job;
mod media;
mod memory;
mod nbd;
mod netlink;
mod ring;
mod scsi;
mod sg;
mod uevent;
