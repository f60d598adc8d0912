//! PathManager's core in firmware, from Rust: several SCSI paths to a logical unit become one, without a thread, a clock, or an
//! allocation after [`Host::open`]. The guide is `README.md` of the tarball; [`Host`] is what there is to call.
#![deny(unsafe_op_in_unsafe_fn)]

#[allow(missing_docs)]
pub mod abi;
mod error;
mod host;
mod port;
mod request;
#[allow(missing_docs)]
pub mod sys;

pub use error::Error;
pub use host::{Host, Path, Unit, UnitConfig};
pub use port::{Disk, MemoryFault, MemoryPort, Port, SgPort, clock_ns};
pub use request::{Answer, Io, Refused};
pub use sys::pm_event as Event;
pub use sys::pm_limits as Limits;
pub use sys::pm_path_info as PathInfo;
pub use sys::pm_unit_info as UnitInfo;
