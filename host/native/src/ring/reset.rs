//! SG_SCSI_RESET in processes of their own: the ioctl may take seconds and must not block the ring, and where a device stays silent it
//! may never return. No signal ends it then, and a process ends with the last of its threads only: a thread would keep the whole daemon
//! from ending, and a shutdown waiting for it.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, mem, ptr, thread};

use crate::abi;
use crate::error::errno;
use crate::ring::queues::Finished;
use crate::sg::{SG_SCSI_RESET, SG_SCSI_RESET_NO_ESCALATE};

/// Limit of resets in progress; more are refused with EAGAIN.
const RESETS_MAX: usize = 64;
/// More than a daemon has open, where the limit is none.
const DESCRIPTORS_MAX: libc::c_long = 1 << 20;
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
            let result = apart(&device, scope);
            drop(device);
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

/// What a shutdown leaves alone, as it leaves whatever begins with @ (systemd.io/ROOT_STORAGE_DAEMONS): it could only wait for it.
const TITLE: &[u8] = b"@pathmanager-reset\0";

/// Carries out one reset in a process of its own, and waits for it. Result: 0 or a negated errno.
fn apart(device: &OwnedFd, scope: u32) -> i32 {
    let title = arguments();
    // SAFETY: all-zero sets are valid; both live until the calls return.
    let mut before: libc::sigset_t = unsafe { mem::zeroed() };
    let mut all = before;
    // SAFETY: see above. The new process begins with this mask: a handler of this one's must not run there.
    unsafe {
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
    }
    // SAFETY: the new process, of one thread, makes system calls only (another thread may have held any lock), and does not return.
    let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    if child == 0 {
        carry_out(device.as_raw_fd(), scope, title);
    }
    let failure = errno();
    // SAFETY: `before` was filled in above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut()) };
    match libc::pid_t::try_from(child) {
        Ok(child) if child > 0 => ended(child),
        _ => -failure,
    }
}

/// The result of a process that was started for a reset.
fn ended(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: `status` lives until the call returns.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0 {
        if errno() != libc::EINTR {
            return -libc::EIO;
        }
    }
    if libc::WIFEXITED(status) { -libc::WEXITSTATUS(status) } else { -libc::EINTR }
}

/// Where the kernel looks for the arguments of this process: address and length. None where it does not say.
fn arguments() -> Option<(usize, usize)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // What comes after the name, which may contain anything, begins with the third field; these are the 48th and the 49th.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(45).map(str::parse::<usize>);
    let (start, end) = (fields.next()?.ok()?, fields.next()?.ok()?);
    (start != 0 && end > start).then_some((start, end - start))
}

/// In the new process: resets, and ends with the error as its status.
fn carry_out(device: RawFd, scope: u32, title: Option<(usize, usize)>) -> ! {
    if let Some((start, bytes)) = title.filter(|(_, bytes)| *bytes >= TITLE.len()) {
        // SAFETY: the kernel put the arguments there, on a stack that stays; they are this process's own copy.
        unsafe {
            ptr::write_bytes(start as *mut u8, 0, bytes);
            ptr::copy_nonoverlapping(TITLE.as_ptr(), start as *mut u8, TITLE.len());
        }
    }
    close_others(device);
    // Only what the core requested: escalation is its decision.
    let mut value: libc::c_int = scope.cast_signed() | SG_SCSI_RESET_NO_ESCALATE;
    // SAFETY: the ioctl reads one int; _exit runs nothing of this program's.
    unsafe {
        let status = libc::ioctl(device, SG_SCSI_RESET, &raw mut value);
        libc::_exit(if status < 0 { errno() } else { 0 })
    }
}

/// Connections, sockets and locks must end with the daemon.
fn close_others(kept: RawFd) {
    let kept = libc::c_uint::try_from(kept).unwrap_or(0);
    let close = |first: libc::c_uint, last: libc::c_uint| -> bool {
        // SAFETY: closes descriptors of this process, which uses none of them.
        first > last || unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0
    };
    if close(0, kept.wrapping_sub(1)) && close(kept + 1, libc::c_uint::MAX) {
        return;
    }
    // A kernel before 5.9.
    // SAFETY: as above.
    let most = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) }.clamp(0, DESCRIPTORS_MAX);
    for one in (0..most as RawFd).filter(|one| *one != kept as RawFd) {
        // SAFETY: as above.
        unsafe { libc::close(one) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;
    use std::fs::File;

    type Outcome = Result<(), Box<dyn Error>>;

    #[test]
    fn a_reset_tells_the_error_of_its_process() -> Outcome {
        let device = OwnedFd::from(File::open("/dev/null")?);
        assert_eq!(apart(&device, abi::RESET_DEVICE), -libc::ENOTTY);
        Ok(())
    }

    #[test]
    fn the_kernel_says_where_the_arguments_are() -> Outcome {
        let (start, bytes) = arguments().ok_or("nothing is said")?;
        // SAFETY: the arguments of this process stay there.
        let text = unsafe { std::slice::from_raw_parts(start as *const u8, bytes) };
        assert_eq!(text, fs::read("/proc/self/cmdline")?);
        Ok(())
    }

    #[test]
    fn a_process_of_its_own_has_the_device_alone() -> Outcome {
        let (reader, writer) = std::io::pipe()?;
        let device = OwnedFd::from(File::open("/dev/null")?);
        // SAFETY: as in `apart`.
        let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        if child == 0 {
            close_others(device.as_raw_fd());
            // SAFETY: asks for flags, and ends.
            unsafe {
                let is_open = |fd| libc::fcntl(fd, libc::F_GETFD) >= 0;
                libc::_exit(i32::from(
                    !is_open(device.as_raw_fd()) || is_open(reader.as_raw_fd()) || is_open(writer.as_raw_fd()),
                ))
            }
        }
        assert_eq!(ended(libc::pid_t::try_from(child)?), 0);
        Ok(())
    }
}
