//! How many descriptors ports open beyond the one that each has.
//!
//! A descriptor costs a number of the process and some 40 KiB of the kernel's memory (the driver reserves 32 KiB for each), so the
//! ports of all rings together get a part of what the process may have, and share the ones they have beyond it.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The part of the process's limit that more descriptors may take: the rest is for clients, files and each port's first one.
const PART_OF_LIMIT: u64 = 4;
/// In all, however high the limit is: 160 MiB of the kernel's memory.
const MORE_MAX: u64 = 4096;
/// How many one turn may open: a burst does not hold up what waits for the turn's end.
const PER_TURN: u32 = 32;
/// How long a refusal of the kernel counts.
const REFUSED_NS: u64 = 1_000_000_000;

/// Those open beyond the first one of each port, in all rings.
static MORE: AtomicUsize = AtomicUsize::new(0);

pub struct Budget {
    left_of_turn: u32,
    /// Until when no other one is tried.
    refused_until_ns: u64,
    /// How often the kernel had none.
    pub refusals: u64,
}

/// How many there may be with this limit of the process.
fn more_max(limit: u64) -> u64 {
    (limit / PART_OF_LIMIT).min(MORE_MAX)
}

fn limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it writes one rlimit.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur
}

impl Budget {
    pub const fn new() -> Self {
        Budget { left_of_turn: PER_TURN, refused_until_ns: 0, refusals: 0 }
    }

    pub fn new_turn(&mut self) {
        self.left_of_turn = PER_TURN;
    }

    /// Whether a port may open another one now. `must`: it has no room for a command in the ones that it has.
    pub fn allows(&self, now_ns: u64, must: bool) -> bool {
        if now_ns < self.refused_until_ns {
            return false;
        }
        must || (self.left_of_turn > 0 && (MORE.load(Ordering::Relaxed) as u64) < more_max(limit()))
    }

    /// One is opened; it counts as long as what is returned lives.
    pub fn opened(&mut self) -> Counted {
        self.left_of_turn = self.left_of_turn.saturating_sub(1);
        MORE.fetch_add(1, Ordering::Relaxed);
        Counted
    }

    /// The kernel opens no more: of the process, of the machine, or for want of memory.
    pub fn refused(&mut self, now_ns: u64) {
        self.refused_until_ns = now_ns + REFUSED_NS;
        self.refusals += 1;
    }
}

/// One of those beyond the first of a port.
pub struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        MORE.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_descriptors_are_a_part_of_the_limit_and_never_many_thousands() {
        for (limit, most) in [(0, 0), (1024, 256), (4096, 1024), (65_536, 4096), (u64::MAX, 4096)] {
            assert_eq!(more_max(limit), most, "limit {limit}");
        }
    }

    #[test]
    fn one_turn_opens_a_few_unless_a_command_has_no_room() {
        let mut budget = Budget::new();
        let mut all = Vec::new();
        for _ in 0..PER_TURN {
            assert!(budget.allows(1, false));
            all.push(budget.opened());
        }
        assert!(!budget.allows(1, false));
        assert!(budget.allows(1, true));
        budget.new_turn();
        assert!(budget.allows(1, false));
        drop(all);
        assert_eq!(MORE.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_refusal_counts_for_a_while() {
        let mut budget = Budget::new();
        budget.refused(1000);
        assert!(!budget.allows(1000 + REFUSED_NS - 1, true));
        assert!(budget.allows(1000 + REFUSED_NS, true));
        assert_eq!(budget.refusals, 1);
    }
}
