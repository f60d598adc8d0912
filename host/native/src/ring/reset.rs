//! SG_SCSI_RESET on threads of its own: the ioctl may take seconds and must not block the ring.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::abi;
use crate::error::errno;
use crate::ring::queues::Finished;
use crate::sg::{SG_SCSI_RESET, SG_SCSI_RESET_NO_ESCALATE};

/// Limit of resets in progress; more are refused with EAGAIN.
const RESETS_MAX: usize = 64;
const STACK_BYTES: usize = 64 * 1024;

#[derive(Default)]
struct Shared {
    /// Tag and result of each finished reset.
    ended: Vec<(u32, i32)>,
    under_way: usize,
}

#[derive(Default)]
pub struct Resets {
    shared: Arc<Mutex<Shared>>,
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Resets {
    /// Starts a reset of `scope` (RESET_*) through `device`; writes to `wake` when it has finished.
    pub fn start(&self, device: OwnedFd, wake: OwnedFd, scope: u32, tag: u32) -> Result<(), i32> {
        if !(abi::RESET_DEVICE..=abi::RESET_TARGET).contains(&scope) {
            return Err(libc::EINVAL);
        }
        {
            let mut shared = lock(&self.shared);
            if shared.under_way >= RESETS_MAX {
                return Err(libc::EAGAIN);
            }
            shared.under_way += 1;
        }
        let shared = Arc::clone(&self.shared);
        let carry_out = move || {
            // Only what the core requested: escalation is its decision.
            let mut value: libc::c_int = scope.cast_signed() | SG_SCSI_RESET_NO_ESCALATE;
            // SAFETY: the ioctl reads one int.
            let status = unsafe { libc::ioctl(device.as_raw_fd(), SG_SCSI_RESET, &raw mut value) };
            let result = if status < 0 { -errno() } else { 0 };
            lock(&shared).ended.push((tag, result));
            let one = 1u64;
            // SAFETY: `one` has the eight bytes that an eventfd takes.
            unsafe { libc::write(wake.as_raw_fd(), (&raw const one).cast(), 8) };
        };
        let spawned = thread::Builder::new().name("pathmanager-reset".into()).stack_size(STACK_BYTES).spawn(carry_out);
        if spawned.is_err() {
            lock(&self.shared).under_way -= 1;
            return Err(libc::EAGAIN);
        }
        Ok(())
    }

    /// Passes on the results of finished resets.
    pub fn take(&self, finished: &mut Finished) {
        let mut shared = lock(&self.shared);
        shared.under_way -= shared.ended.len();
        for (tag, result) in shared.ended.drain(..) {
            finished.put(tag, result);
        }
    }
}
