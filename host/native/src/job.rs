//! Blocking work on threads of its own; JavaScript gets a promise that is rejected with the addon's error codes.
//!
//! Not on libuv's pool: it has four threads, so four devices that do not answer would block every file operation of the
//! process.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Env, JsError};

use crate::error::{Code, Result, error};

const STACK_BYTES: usize = 128 * 1024;

type Piece = Box<dyn FnOnce() + Send>;

/// Work of one kind queues only behind its own kind: devices that do not answer do not delay the attaching of a block
/// device.
pub struct Line {
    threads_max: usize,
    pieces: Mutex<Pieces>,
}

struct Pieces {
    waiting: VecDeque<Piece>,
    threads: usize,
}

/// SCSI commands; discovery (adapter-queues.ts) never runs more at once.
pub static SCSI: Line = Line::new(1024);
/// Opening, closing and writing device files.
pub static FILES: Line = Line::new(256);
/// Waiting for messages with descriptors; each client of the PR helper keeps one thread.
pub static MESSAGES: Line = Line::new(64);
/// The nbd driver.
pub static NBD: Line = Line::new(16);
/// The ublk driver: starting and stopping a device waits for its requests.
pub static UBLK: Line = Line::new(64);

impl Line {
    /// `threads_max`: limit of work in progress; more waits in line.
    const fn new(threads_max: usize) -> Self {
        Line { threads_max, pieces: Mutex::new(Pieces { waiting: VecDeque::new(), threads: 0 }) }
    }

    fn lock(&self) -> MutexGuard<'_, Pieces> {
        // Nothing in the critical sections can panic half-way, so the line is consistent even if the lock is poisoned.
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the work that waits in line, then ends.
    fn work(&self) {
        loop {
            let next = {
                let mut pieces = self.lock();
                let next = pieces.waiting.pop_front();
                if next.is_none() {
                    pieces.threads -= 1;
                }
                next
            };
            match next {
                Some(piece) => piece(),
                None => return,
            }
        }
    }

    fn start(&'static self, piece: Piece) -> Result<()> {
        let mut pieces = self.lock();
        if pieces.threads < self.threads_max {
            let builder = thread::Builder::new().name("pathmanager-job".into()).stack_size(STACK_BYTES);
            match builder.spawn(|| self.work()) {
                Ok(_) => pieces.threads += 1,
                // A running thread will take it.
                Err(_) if pieces.threads > 0 => {}
                Err(reason) => return Err(error(Code::System, format!("cannot start a thread: {reason}"))),
            }
        }
        pieces.waiting.push_back(piece);
        Ok(())
    }
}

/// Runs `work` on a thread of its own and returns a promise of its result.
pub fn promise<'env, T>(
    env: &'env Env,
    line: &'static Line,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<Object<'env>>
where
    T: ToNapiValue + Send + 'static,
{
    let deferred = env.create_deferred::<T, Box<dyn FnOnce(Env) -> napi::Result<T>>>();
    let (deferred, promise) = deferred.map_err(|reason| error(Code::System, reason.reason.clone()))?;
    line.start(Box::new(move || {
        let panicked = |_| Err(error(Code::System, "the native addon failed (a panic in one of its threads)"));
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked);
        deferred.resolve(Box::new(move |env| {
            outcome.map_err(|reason| napi::Error::from(JsError::from(reason).into_unknown(env)))
        }));
    }))?;
    Ok(promise)
}
