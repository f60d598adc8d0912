//! What ports and their commands need from the engine during one step.

use crate::memory::CoreMemory;
use crate::ring::backend::Backend;
use crate::ring::op::Ops;
use crate::ring::queues::Finished;

pub struct Desk<'a> {
    pub memory: &'a CoreMemory,
    pub ops: &'a mut Ops,
    pub backend: &'a mut Backend,
    pub finished: &'a mut Finished,
}
