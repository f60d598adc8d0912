//! Lines of metrics: name, labels, value. With a thousand units there are hundreds of thousands of them in a scrape.

use std::io::Write;

use napi::bindgen_prelude::Uint8ArraySlice;
use napi_derive::napi;

use crate::error::{Code, Result, error};

/// Longest value, with the end of its line.
const VALUE_BYTES_MAX: usize = 40;
/// Whole numbers below it are exact.
const WHOLE_BELOW: f64 = 9_007_199_254_740_992.0;

/// Texts that lie one after the other.
struct Texts<'a> {
    bytes: &'a [u8],
    ends: &'a [u32],
}

impl<'a> Texts<'a> {
    fn new(name: &str, bytes: &'a [u8], ends: &'a [u32]) -> Result<Self> {
        let last = ends.last().map_or(0, |&end| end as usize);
        if last <= bytes.len() && ends.is_sorted() {
            return Ok(Texts { bytes, ends });
        }
        Err(error(Code::Argument, format!("{name}: the ends of the texts are not in order, or beyond the bytes")))
    }

    fn get(&self, index: usize) -> &'a [u8] {
        let from = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.bytes[from..self.ends[index] as usize]
    }
}

/// How far `writeSamples` came.
#[napi(object)]
pub struct SamplesWritten {
    /// The first value that is not written.
    pub next: u32,
    /// Bytes of the buffer that are in use.
    pub at: u32,
}

/// Writes a line for each value from `first` on, as far as there is room in `out` behind its `at` bytes. Each row has one value for each
/// head and tail; a line is head, label of the row, tail, value. NaN is no value.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments)]
pub fn write_samples(
    mut out: Uint8ArraySlice<'_>,
    at: u32,
    heads: &[u8],
    head_ends: &[u32],
    labels: &[u8],
    label_ends: &[u32],
    tails: &[u8],
    tail_ends: &[u32],
    values: &[f64],
    first: u32,
) -> Result<SamplesWritten> {
    let heads = Texts::new("heads", heads, head_ends)?;
    let labels = Texts::new("labels", labels, label_ends)?;
    let tails = Texts::new("tails", tails, tail_ends)?;
    let lines = head_ends.len();
    if lines != tail_ends.len() || values.len() != lines * label_ends.len() || at as usize > out.len() {
        return Err(error(Code::Argument, "values: there is not one for each line of each row"));
    }
    // SAFETY: only this call writes there, and nothing else of it refers to these bytes.
    let mut room = &mut unsafe { out.as_mut() }[at as usize..];
    let before = room.len();
    let mut next = first as usize;
    while let Some(&value) = values.get(next) {
        if !value.is_nan() {
            let texts = [heads.get(next % lines), labels.get(next / lines), tails.get(next % lines)];
            if texts.iter().map(|text| text.len()).sum::<usize>() + VALUE_BYTES_MAX > room.len() {
                break;
            }
            for text in texts {
                room = put(room, text);
            }
            room = put_value(room, value);
        }
        next += 1;
    }
    let written = before - room.len();
    Ok(SamplesWritten { next: next as u32, at: at + written as u32 })
}

/// The caller has seen to it that there is room.
fn put<'a>(room: &'a mut [u8], text: &[u8]) -> &'a mut [u8] {
    let (here, rest) = room.split_at_mut(text.len());
    here.copy_from_slice(text);
    rest
}

fn put_value(room: &mut [u8], value: f64) -> &mut [u8] {
    let mut text = [0u8; VALUE_BYTES_MAX];
    let mut end = 0;
    if (0.0..WHOLE_BELOW).contains(&value) && value.trunc() == value {
        let mut rest = value as u64;
        let mut at = VALUE_BYTES_MAX - 1;
        loop {
            at -= 1;
            text[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        text[VALUE_BYTES_MAX - 1] = b'\n';
        return put(room, &text[at..]);
    }
    let mut free = &mut text[..];
    let size = value.abs();
    // Cannot fail: there is room for the longest of them.
    let _ = if value.is_infinite() {
        writeln!(free, "{}Inf", if value > 0.0 { '+' } else { '-' })
    } else if (1e-9..1e15).contains(&size) {
        writeln!(free, "{value}")
    } else {
        writeln!(free, "{value:e}")
    };
    end += VALUE_BYTES_MAX - free.len();
    put(room, &text[..end])
}
