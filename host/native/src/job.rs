//! Work that blocks, on threads of its own; JavaScript gets a promise that is rejected with our error codes.
//!
//! Not on libuv's pool: that has four threads, and four devices that do not answer would stop every file operation
//! of the process.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Env, JsError};

use crate::error::{Code, Result, error};

/// Pieces of work under way at once; more wait in line.
const THREADS_MAX: usize = 256;
const STACK_BYTES: usize = 128 * 1024;

type Piece = Box<dyn FnOnce() + Send>;

struct Line {
    waiting: VecDeque<Piece>,
    threads: usize,
}

static LINE: Mutex<Line> = Mutex::new(Line { waiting: VecDeque::new(), threads: 0 });

fn line() -> MutexGuard<'static, Line> {
    // Nothing in the critical sections can panic half-way, so a poisoned lock still guards a whole line.
    LINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries out what waits in line, then ends.
fn work() {
    loop {
        let next = {
            let mut line = line();
            let next = line.waiting.pop_front();
            if next.is_none() {
                line.threads -= 1;
            }
            next
        };
        match next {
            Some(piece) => piece(),
            None => return,
        }
    }
}

fn start(piece: Piece) -> Result<()> {
    let mut line = line();
    if line.threads < THREADS_MAX {
        let spawned = thread::Builder::new().name("pathmanager-job".into()).stack_size(STACK_BYTES).spawn(work);
        match spawned {
            Ok(_) => line.threads += 1,
            // One of those that run will take it.
            Err(_) if line.threads > 0 => {}
            Err(reason) => return Err(error(Code::System, format!("cannot start a thread: {reason}"))),
        }
    }
    line.waiting.push_back(piece);
    Ok(())
}

/// Runs `work` on a thread of its own and answers a promise of its result.
pub fn promise<'env, T>(env: &'env Env, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<Object<'env>>
where
    T: ToNapiValue + Send + 'static,
{
    let deferred = env.create_deferred::<T, Box<dyn FnOnce(Env) -> napi::Result<T>>>();
    let (deferred, promise) = deferred.map_err(|reason| error(Code::System, reason.reason.clone()))?;
    start(Box::new(move || {
        let panicked = |_| Err(error(Code::System, "the native addon failed (a panic in one of its threads)"));
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked);
        deferred.resolve(Box::new(move |env| {
            outcome.map_err(|reason| napi::Error::from(JsError::from(reason).into_unknown(env)))
        }));
    }))?;
    Ok(promise)
}
