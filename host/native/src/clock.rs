//! The project's only clock: CLOCK_MONOTONIC in nanoseconds.

use napi::bindgen_prelude::BigInt;
use napi_derive::napi;

/// CLOCK_MONOTONIC now, in nanoseconds.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to; CLOCK_MONOTONIC always exists, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    (time.tv_sec as u64) * 1_000_000_000 + (time.tv_nsec as u64)
}

/// CLOCK_MONOTONIC now, in nanoseconds: the clock of CONTROL_NOW_NS and of completions.
#[napi]
pub fn clock_ns() -> BigInt {
    BigInt::from(now_ns())
}
