//! Whether to look out for what comes next for a moment before sleeping.
//!
//! A sleeping thread takes microseconds to wake, on virtual machines more than an I/O itself takes. Where the next
//! request comes sooner than that, it pays not to sleep: where a client asks one thing after the other, after each reply.
//! It does not pay where more comes at once (together it costs less), where the wait is long, nor where somebody else
//! needs the processor: time spent looking counts as time used, and the scheduler takes it back with interest. So it is
//! done only after a lone reply and a run of short waits, and given up for a while as soon as this thread was held up
//! while looking.

use std::hint::spin_loop;

use crate::clock::now_ns;

/// So many of the last waits, of `HISTORY`, must have been shorter.
const SHORT_MIN: u32 = 13;
const HISTORY: u32 = 0xffff;
/// Between two readings of the clock lie some hundred nanoseconds; when it is so much, the processor was taken away.
const HELD_UP_NS: u64 = 300_000;
/// For how long looking is given up then: doubled each time, halved with every time it went well.
const PAUSE_NS_MIN: u64 = 10_000_000;
const PAUSE_NS_MAX: u64 = 2_000_000_000;
/// Rounds between two readings of the clock.
const ROUNDS: u32 = 16;

pub struct Spin {
    /// Longest look; about what falling asleep and waking takes. 0: never.
    poll_ns: u64,
    /// The last waits, newest in the lowest bit: 1 for a short one.
    history: u32,
    paused_until_ns: u64,
    pause_ns: u64,
    went_well: u32,
}

impl Spin {
    pub fn new(poll_ns: u64) -> Self {
        Spin { poll_ns, history: 0, paused_until_ns: 0, pause_ns: PAUSE_NS_MIN, went_well: 0 }
    }

    /// Whether to look before sleeping.
    pub fn worth(&self, now: u64) -> bool {
        (self.history & HISTORY).count_ones() >= SHORT_MIN && now >= self.paused_until_ns
    }

    /// A wait after a lone reply is over.
    pub fn waited(&mut self, ns: u64) {
        self.history = self.history << 1 | u32::from(ns < self.poll_ns);
    }

    /// Looks until `there` says so or `until_ns` has come, at most as long as set. Answers whether it is there.
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
