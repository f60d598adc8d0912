//! The engine's part for sockets: RECV, SEND, WATCH and CLOSE. A socket has one RECV and one SEND in progress at a
//! time; others wait in order.

use crate::abi;
use crate::memory::CoreMemory;
use crate::ring::backend::Backend;
use crate::ring::engine::Engine;
use crate::ring::epoll;
use crate::ring::op::{Kind, OpList, Stage, Step};
use crate::ring::queues::Submission;

impl Engine {
    pub(super) fn accept_recv(&mut self, submission: Submission) -> std::result::Result<(), i32> {
        let socket = self.sockets.find(submission.handle).ok_or(libc::EBADF)?;
        if submission.length == 0 || i32::try_from(submission.length).is_err() {
            return Err(libc::EINVAL);
        }
        let buffer = self.memory.range(submission.address, submission.length).ok_or(libc::EFAULT)?;
        let index = self.ops.take(Kind::Recv, submission.tag, socket);
        let op = self.ops.get(index);
        op.wait_all = submission.flags & abi::SUBMISSION_FLAG_WAIT_ALL != 0;
        op.buffer = buffer;
        op.length = submission.length;
        self.enqueue(socket, Kind::Recv, index);
        Ok(())
    }

    pub(super) fn accept_send(&mut self, submission: Submission) -> std::result::Result<(), i32> {
        self.urgent = true;
        let socket = self.sockets.find(submission.handle).ok_or(libc::EBADF)?;
        if submission.length == 0 || submission.length > abi::GATHER_ENTRIES_MAX {
            return Err(libc::EINVAL);
        }
        let index = self.ops.take(Kind::Send, submission.tag, socket);
        match gather(&self.memory, submission, &mut self.ops.get(index).gather) {
            Ok(bytes) => {
                let op = self.ops.get(index);
                op.length = bytes;
                op.lazy = submission.flags & abi::SUBMISSION_FLAG_LAZY != 0;
                self.enqueue(socket, Kind::Send, index);
                Ok(())
            }
            Err(errno) => {
                self.ops.give_back(index);
                Err(errno)
            }
        }
    }

    pub(super) fn accept_watch(&mut self, submission: Submission) -> std::result::Result<(), i32> {
        let index = self.sockets.find(submission.handle).ok_or(libc::EBADF)?;
        let socket = self.sockets.get(index);
        if socket.watch.is_some() {
            return Err(libc::EALREADY);
        }
        socket.watch = Some(submission.tag);
        match &mut self.backend {
            Backend::Uring(uring) => {
                socket.polled = true;
                uring.watch(socket.fd(), index);
            }
            Backend::Epoll(_) if socket.hung_up => self.hung_up(index, true),
            Backend::Epoll(_) => {}
        }
        Ok(())
    }

    /// The socket's peer, or this side, has closed it (`gone`); or the peer has only stopped sending and still
    /// receives. io_uring always reports that too, as the only report of its poll, so the WATCH then ends with the
    /// CLOSE; RECV and SEND notice the end.
    pub(super) fn hung_up(&mut self, index: u32, gone: bool) {
        let socket = self.sockets.get(index);
        socket.polled = false;
        socket.hung_up |= gone;
        let closing = socket.closing.is_some();
        if (gone || closing)
            && let Some(tag) = socket.watch.take()
        {
            self.finished.put(tag, 0);
        }
        if closing {
            self.finish_close(index);
        }
    }

    pub(super) fn accept_close(&mut self, submission: Submission) -> std::result::Result<(), i32> {
        self.urgent = true;
        let index = self.sockets.find(submission.handle).ok_or(libc::EBADF)?;
        if let Backend::Uring(uring) = &mut self.backend {
            // A SEND submitted before the CLOSE gets its chance first.
            uring.submit();
        }
        let socket = self.sockets.get(index);
        socket.closing = Some(submission.tag);
        socket.readable = true;
        socket.writable = true;
        // SAFETY: no pointers are passed. It fails only when the peer is already gone, which is just as good.
        unsafe { libc::shutdown(socket.fd(), libc::SHUT_RDWR) };
        if matches!(self.backend, Backend::Epoll(_)) {
            self.pump(index, Kind::Recv);
            self.pump(index, Kind::Send);
        }
        if self.sockets.get(index).polled {
            self.finish_close(index);
        } else {
            // While it polls, io_uring reports the shutdown by itself.
            self.hung_up(index, true);
        }
        Ok(())
    }

    /// Closes a socket that is closing, once its last op has completed.
    fn finish_close(&mut self, index: u32) {
        let socket = self.sockets.get(index);
        let idle = socket.recvs.is_empty() && socket.sends.is_empty() && !socket.polled && socket.watch.is_none();
        if idle && let Some(tag) = socket.closing.take() {
            if let Backend::Epoll(epoll) = &self.backend {
                epoll.remove(socket.fd());
            }
            self.sockets.remove(index);
            self.finished.put(tag, 0);
        }
    }

    fn list(&mut self, socket: u32, kind: Kind) -> &mut OpList {
        let socket = self.sockets.get(socket);
        if kind == Kind::Recv { &mut socket.recvs } else { &mut socket.sends }
    }

    fn enqueue(&mut self, socket: u32, kind: Kind, index: u32) {
        let mut list = *self.list(socket, kind);
        let first = list.is_empty();
        list.push(&mut self.ops, index);
        *self.list(socket, kind) = list;
        if first {
            self.pump(socket, kind);
        }
    }

    /// Starts the first op of a list, unless one is in progress. With epoll: executes as many as possible without
    /// waiting.
    pub(super) fn pump(&mut self, socket: u32, kind: Kind) {
        loop {
            let index = self.list(socket, kind).head;
            if index == crate::ring::op::NONE {
                return;
            }
            match &mut self.backend {
                Backend::Uring(uring) => {
                    if self.ops.get(index).stage == Stage::Queued {
                        uring.start(&mut self.ops, index, self.sockets.get(socket).fd());
                    }
                    return;
                }
                Backend::Epoll(_) => {
                    let at = self.sockets.get(socket);
                    let ready = if kind == Kind::Recv { at.readable } else { at.writable };
                    if !ready {
                        return;
                    }
                    let result = epoll::attempt(self.ops.get(index), at);
                    if let Step::Done(result) = self.ops.get(index).advance(result) {
                        self.finish(socket, kind, result);
                    }
                }
            }
        }
    }

    /// io_uring: a step of an op has ended.
    pub(super) fn step(&mut self, index: u32, result: i32) {
        let op = self.ops.get(index);
        let (socket, kind) = (op.target, op.kind);
        match op.advance(result) {
            Step::Done(result) => {
                self.finish(socket, kind, result);
                self.pump(socket, kind);
            }
            Step::Again => {
                if let Backend::Uring(uring) = &mut self.backend {
                    uring.start(&mut self.ops, index, self.sockets.get(socket).fd());
                }
            }
        }
    }

    /// Completes the first op of the list.
    fn finish(&mut self, socket: u32, kind: Kind, result: i32) {
        let mut list = *self.list(socket, kind);
        let popped = list.pop(&mut self.ops);
        *self.list(socket, kind) = list;
        if let Some(index) = popped {
            let tag = self.ops.get(index).tag;
            self.ops.give_back(index);
            self.finished.put(tag, result);
        }
        if self.sockets.get(socket).closing.is_some() {
            self.finish_close(socket);
        }
    }
}

/// Copies a SEND's gather table; returns the number of bytes it sends, or the errno with which it is refused.
fn gather(memory: &CoreMemory, submission: Submission, into: &mut Vec<libc::iovec>) -> std::result::Result<u32, i32> {
    let table_bytes = submission.length * abi::GATHER_BYTES;
    memory.range(submission.address, table_bytes).ok_or(libc::EFAULT)?;
    let mut total: u32 = 0;
    for entry in 0..submission.length {
        let at = submission.address + entry * abi::GATHER_BYTES;
        let address = memory.load_u32(at + abi::GATHER_ADDRESS).ok_or(libc::EFAULT)?;
        let bytes = memory.load_u32(at + abi::GATHER_LENGTH).ok_or(libc::EFAULT)?;
        let base = memory.range(address, bytes).ok_or(libc::EFAULT)?;
        total = total.checked_add(bytes).filter(|&sum| i32::try_from(sum).is_ok()).ok_or(libc::EINVAL)?;
        if bytes > 0 {
            into.push(libc::iovec { iov_base: base.cast(), iov_len: bytes as usize });
        }
    }
    if total == 0 { Err(libc::EINVAL) } else { Ok(total) }
}
