//! How long turns take: the time from the end of one wait to the beginning of the next, by octaves.

/// Longest time of the first class, as a power of two in nanoseconds: 8 us.
pub const FIRST_OCTAVE: u32 = 13;
/// Classes: each holds turns up to twice as long as the one before; the last one, longer than 8 s, everything.
pub const CLASSES: usize = 22;

/// Counted since the ring was opened.
pub struct Turns {
    began_ns: u64,
    pub busy_ns: u64,
    pub counts: [u64; CLASSES],
}

impl Turns {
    pub fn new(now_ns: u64) -> Self {
        Turns { began_ns: now_ns, busy_ns: 0, counts: [0; CLASSES] }
    }

    /// The ring has waited.
    pub fn begin(&mut self, now_ns: u64) {
        self.began_ns = now_ns;
    }

    /// A turn is over. Unless the ring waits, the next one begins at once.
    pub fn end(&mut self, now_ns: u64) {
        let ns = now_ns.saturating_sub(self.began_ns);
        let octave = u64::BITS - ns.saturating_sub(1).leading_zeros();
        let class = (octave.saturating_sub(FIRST_OCTAVE) as usize).min(CLASSES - 1);
        self.began_ns = now_ns;
        self.busy_ns += ns;
        self.counts[class] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_counted_in_the_first_class_that_is_long_enough() {
        let mut turns = Turns::new(1000);
        for (ns, class) in
            [(0, 0), (8192, 0), (8193, 1), (1 << 20, 7), ((1 << 20) + 1, 8), (u64::MAX >> 1, CLASSES - 1)]
        {
            let before = turns.counts[class];
            turns.begin(1000);
            turns.end(1000 + ns);
            assert_eq!(turns.counts[class], before + 1, "{ns} ns");
        }
        assert_eq!(turns.counts.iter().sum::<u64>(), 6);
    }

    #[test]
    fn only_waits_are_not_work() {
        let mut turns = Turns::new(1000);
        turns.end(1500);
        turns.end(1700);
        turns.begin(9000);
        turns.end(9100);
        turns.end(9099);
        assert_eq!((turns.busy_ns, turns.counts[0]), (800, 4));
    }
}
