//! The native addon of PathManager: what touches the machine, and no policy at all.

#![allow(dead_code)] // Until the ports are in.

mod abi;
mod clock;
mod descriptor;
mod error;
mod media;
mod memory;
mod ring;
