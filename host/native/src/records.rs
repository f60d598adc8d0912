//! Copies and sums of the core's records, for displays. I/O pauses meanwhile.

use napi::bindgen_prelude::{Float64ArraySlice, Uint8ArraySlice, Uint32ArraySlice};
use napi_derive::napi;

use crate::error::{Code, Result, error};

/// Where the records of a table are in the core's memory.
struct Table<'a> {
    memory: &'a [u8],
    stride: usize,
}

impl<'a> Table<'a> {
    fn new(memory: &'a [u8], table: u32, count: u32, stride: u32) -> Result<Self> {
        let (from, bytes) = (table as usize, count as usize * stride as usize);
        match memory.get(from..from + bytes) {
            Some(memory) if stride >= 4 => Ok(Table { memory, stride: stride as usize }),
            _ => Err(error(Code::Layout, "table: it does not lie within the core's memory")),
        }
    }

    /// Records whose first bit is set: both tables have their flags at offset 0, and PRESENT at bit 0.
    fn present(&self) -> impl Iterator<Item = (usize, &'a [u8])> {
        self.memory.chunks_exact(self.stride).enumerate().filter(|(_, record)| record[0] & 1 != 0)
    }
}

/// Number of records that are in use.
#[napi(catch_unwind)]
pub fn count_records(memory: &[u8], table: u32, count: u32, stride: u32) -> Result<u32> {
    Ok(Table::new(memory, table, count, stride)?.present().count() as u32)
}

/// Copies the places of the records in use, and the first bytes of each: as many as there is room for.
#[napi(catch_unwind)]
pub fn copy_records(
    memory: &[u8],
    table: u32,
    count: u32,
    stride: u32,
    mut places: Uint32ArraySlice<'_>,
    mut records: Uint8ArraySlice<'_>,
) -> Result<()> {
    let table = Table::new(memory, table, count, stride)?;
    let bytes = records.len().checked_div(places.len()).unwrap_or(0);
    if bytes > stride as usize || bytes * places.len() != records.len() {
        return Err(error(Code::Argument, "records: they are not of one size, or larger than the table's"));
    }
    if bytes == 0 {
        return Ok(());
    }
    // SAFETY: only this call writes to the two, and they are not the core's memory.
    let (places, records) = unsafe { (places.as_mut(), records.as_mut()) };
    let room = places.iter_mut().zip(records.chunks_exact_mut(bytes));
    for ((place, to), (index, record)) in room.zip(table.present()) {
        *place = index as u32;
        to.copy_from_slice(&record[..bytes]);
    }
    Ok(())
}

/// Adds up the buckets of histograms in fewer, larger ones. Of each record, `histograms` names pairs: where the count of all is that a
/// histogram has, and where its buckets begin; a histogram without any is left alone. `ends` are the ends of the large buckets in
/// small ones. Each record has `values_each` values in `values`, and each histogram `histogram_values` of them.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments)]
pub fn add_up_histograms(
    memory: &[u8],
    addresses: &[u32],
    histograms: &[u32],
    ends: &[u32],
    mut values: Float64ArraySlice<'_>,
    values_each: u32,
    histogram_values: u32,
) -> Result<()> {
    let each = values_each as usize;
    if ends.len() > histogram_values as usize
        || histograms.len() / 2 * histogram_values as usize > each
        || values.len() != each * addresses.len()
        || !ends.is_sorted()
    {
        return Err(error(Code::Argument, "values: there is no room for the histograms of each record"));
    }
    if each == 0 {
        return Ok(());
    }
    // SAFETY: only this call writes to the values, and they are not the core's memory.
    let values = unsafe { values.as_mut() };
    for (&address, record) in addresses.iter().zip(values.chunks_exact_mut(each)) {
        if address == 0 {
            continue;
        }
        for (&[total, buckets], to) in
            histograms.as_chunks().0.iter().zip(record.chunks_exact_mut(histogram_values as usize))
        {
            if counter(memory, address as usize + total as usize)? == 0 {
                continue;
            }
            let mut begin = 0;
            for (&end, value) in ends.iter().zip(to) {
                let from = address as usize + buckets as usize;
                *value = sum(memory, from + 8 * begin, from + 8 * end as usize)?;
                begin = end as usize;
            }
        }
    }
    Ok(())
}

fn within(memory: &[u8], from: usize, to: usize) -> Result<&[u8]> {
    memory.get(from..to).ok_or_else(|| error(Code::Layout, "addresses: one is outside the core's memory"))
}

fn counter(memory: &[u8], at: usize) -> Result<u64> {
    Ok(within(memory, at, at + 8)?.as_chunks().0.iter().map(|&bytes| u64::from_le_bytes(bytes)).sum())
}

fn sum(memory: &[u8], from: usize, to: usize) -> Result<f64> {
    let counts = within(memory, from, to)?.as_chunks().0.iter().map(|&bytes| u64::from_le_bytes(bytes));
    Ok(counts.fold(0, u64::wrapping_add) as f64)
}
