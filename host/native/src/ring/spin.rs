//! Decides whether to busy-poll for a moment before sleeping.
//!
//! A sleeping thread takes microseconds to wake, on virtual machines longer than an I/O takes. Busy-polling pays off
//! where the next request arrives sooner than that: where a client sends one request at a time, after each reply. It
//! does not pay off where several arrive at once (handling them together costs less), where the wait is long, or where
//! somebody else needs the processor: polling counts as processor time used, and the scheduler takes it back with
//! interest. So it is done only after a lone reply and a run of short waits, and suspended for a while whenever this
//! thread was preempted while polling.

use std::hint::spin_loop;

use crate::clock::now_ns;

/// How many of the last `HISTORY` waits must have been short.
const SHORT_MIN: u32 = 13;
const HISTORY: u32 = 0xffff;
/// Consecutive clock readings are some hundred nanoseconds apart; a gap of this length means that the thread was
/// preempted.
const HELD_UP_NS: u64 = 300_000;
/// How long polling is then suspended: doubled each time, halved after each success.
const PAUSE_NS_MIN: u64 = 10_000_000;
const PAUSE_NS_MAX: u64 = 2_000_000_000;
/// Rounds between two readings of the clock.
const ROUNDS: u32 = 16;

pub struct Spin {
    /// Longest poll, about the time it takes to fall asleep and wake. 0: never.
    poll_ns: u64,
    /// The last waits, the newest in the lowest bit: 1 for a short one.
    history: u32,
    paused_until_ns: u64,
    pause_ns: u64,
    went_well: u32,
}

impl Spin {
    pub fn new(poll_ns: u64) -> Self {
        Spin { poll_ns, history: 0, paused_until_ns: 0, pause_ns: PAUSE_NS_MIN, went_well: 0 }
    }

    /// Whether to poll before sleeping.
    pub fn worth(&self, now: u64) -> bool {
        (self.history & HISTORY).count_ones() >= SHORT_MIN && now >= self.paused_until_ns
    }

    /// Records the length of a wait after a lone reply.
    pub fn waited(&mut self, ns: u64) {
        self.history = self.history << 1 | u32::from(ns < self.poll_ns);
    }

    /// Polls until `there` returns true or `until_ns` is reached, at most as long as configured. Returns whether
    /// `there` was true.
    pub fn poll(&mut self, start_ns: u64, until_ns: u64, mut there: impl FnMut() -> bool) -> bool {
        let until_ns = until_ns.min(start_ns + self.poll_ns);
        let mut last_ns = start_ns;
        while last_ns < until_ns {
            for _ in 0..ROUNDS {
                if there() {
                    self.well();
                    return true;
                }
                spin_loop();
            }
            let now = now_ns();
            if now - last_ns > HELD_UP_NS {
                self.paused_until_ns = now + self.pause_ns;
                self.pause_ns = (self.pause_ns * 2).min(PAUSE_NS_MAX);
                self.went_well = 0;
                return there();
            }
            last_ns = now;
        }
        false
    }

    fn well(&mut self) {
        self.went_well += 1;
        if self.went_well >= 1 << 14 {
            self.went_well = 0;
            self.pause_ns = (self.pause_ns / 2).max(PAUSE_NS_MIN);
        }
    }
}
