//! What is asked of a unit, and what is answered.

use crate::error::Error;

/// A request. Its data is moved in, and comes back with the answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Io {
    /// Fills the buffer.
    Read {
        /// In bytes, at a block.
        offset: u64,
        /// As long as what is to be read.
        buffer: Vec<u8>,
    },
    /// Writes the data.
    Write {
        /// In bytes, at a block.
        offset: u64,
        /// What is written.
        data: Vec<u8>,
        /// Answered when it is on the medium.
        fua: bool,
    },
    /// Answered when all that was answered before is on the medium.
    Flush,
    /// The unit may forget these bytes.
    Trim {
        /// In bytes, at a block.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// These bytes become zeroes.
    WriteZeroes {
        /// In bytes, at a block.
        offset: u64,
        /// How many.
        bytes: u64,
    },
}

/// A request that was not taken: the data is still its owner's.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: Error,
    /// The request.
    pub io: Io,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// Of the request.
    pub cookie: u64,
    /// Or the errno.
    pub result: Result<(), i32>,
    /// Of a read or write; empty for others.
    pub data: Vec<u8>,
}
