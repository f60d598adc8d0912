//! Tracks which pages of a medium in memory were written, one bit per page. The page tables do not tell: reading a page
//! makes it present, and the kernel may move a written page to swap.

const PAGE_BYTES: usize = 4096;
/// Pages per word of bits.
const WORD_PAGES: usize = 64;

pub struct Written {
    words: Vec<u64>,
}

impl Written {
    /// Nothing of `bytes` bytes is written. Untouched parts take no memory.
    pub fn new(bytes: usize) -> Self {
        Written { words: vec![0; bytes.div_ceil(PAGE_BYTES * WORD_PAGES)] }
    }

    /// Marks bytes `offset..offset + bytes` as written.
    pub fn mark(&mut self, offset: usize, bytes: usize) {
        for page in offset / PAGE_BYTES..(offset + bytes).div_ceil(PAGE_BYTES) {
            if let Some(word) = self.words.get_mut(page / WORD_PAGES) {
                *word |= 1 << (page % WORD_PAGES);
            }
        }
    }

    /// Bytes `offset..offset + bytes` are zero again: clears the pages that lie completely within them.
    pub fn clear(&mut self, offset: usize, bytes: usize) {
        let (mut page, end) = (offset.div_ceil(PAGE_BYTES), (offset + bytes) / PAGE_BYTES);
        while page < end {
            let Some(word) = self.words.get_mut(page / WORD_PAGES) else { return };
            let whole = page.is_multiple_of(WORD_PAGES) && page + WORD_PAGES <= end;
            if whole {
                *word = 0;
            } else {
                *word &= !(1 << (page % WORD_PAGES));
            }
            page += if whole { WORD_PAGES } else { 1 };
        }
    }

    /// How many of the `bytes` bytes from `offset` on are alike, and whether they were written.
    pub fn run(&self, offset: usize, bytes: usize) -> (usize, bool) {
        let word = |page: usize| self.words.get(page / WORD_PAGES).copied().unwrap_or(0);
        let first = offset / PAGE_BYTES;
        let written = word(first) >> (first % WORD_PAGES) & 1 == 1;
        let end = offset + bytes;
        let mut page = first + 1;
        while page * PAGE_BYTES < end {
            // Bits that differ from the run's kind, from this page on.
            let differ = (if written { !word(page) } else { word(page) }) >> (page % WORD_PAGES);
            if differ != 0 {
                page += differ.trailing_zeros() as usize;
                break;
            }
            page += WORD_PAGES - page % WORD_PAGES;
        }
        ((page * PAGE_BYTES).min(end) - offset, written)
    }
}
