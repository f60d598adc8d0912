// Every command of the transmission phase, sent with libnbd's Python bindings, with simple and structured replies.

import type { Case } from "../case.ts";
import { nbdsh } from "../run.ts";

function connected(socket: string, structured: boolean, script: string): string {
  return `
h = nbd.NBD()
h.set_request_structured_replies(${structured ? "True" : "False"})
h.set_export_name("0")
h.connect_unix("${socket}")
${structured ? "assert h.get_structured_replies_negotiated()" : "assert not h.get_structured_replies_negotiated()"}
${script}
h.shutdown()
`;
}

const READ_WRITE = `
data = os.urandom(65536)
h.pwrite(data, 131072)
assert h.pread(65536, 131072) == data
h.pwrite(data[:512], 512)
assert h.pread(512, 512) == data[:512]
h.flush()
big = os.urandom(32 << 20)
h.pwrite(big, 0)
assert h.pread(32 << 20, 0) == big
`;

const ZEROES_AND_TRIM = `
h.pwrite(b"\\x5a" * (1 << 20), 0)
h.zero(65536, 65536)
h.zero(65536, 262144, nbd.CMD_FLAG_NO_HOLE)
h.zero(65536, 393216, nbd.CMD_FLAG_FUA)
h.trim(65536, 524288)
h.trim(65536, 655360, nbd.CMD_FLAG_FUA)
for at in (65536, 262144, 393216):
    assert h.pread(65536, at) == bytes(65536), at
    assert h.pread(512, at - 512) == b"\\x5a" * 512
    assert h.pread(512, at + 65536) == b"\\x5a" * 512
h.zero(16 << 20, 16 << 20)
assert h.pread(1 << 20, 20 << 20) == bytes(1 << 20)
`;

const FUA_AND_CACHE = `
assert h.can_fua() and h.can_flush() and h.can_cache() and h.can_multi_conn()
h.pwrite(b"\\x01" * 4096, 0, nbd.CMD_FLAG_FUA)
h.cache(1 << 20, 0)
assert h.pread(4096, 0) == b"\\x01" * 4096
`;

const PIPELINE = `
def drain(waiting):
    while waiting:
        h.poll(-1)
        while waiting:
            cookie = h.aio_peek_command_completed()
            if cookie <= 0: break
            assert h.aio_command_completed(cookie)
            waiting.pop(cookie)()
writes = {}
for i in range(200):
    data = nbd.Buffer.from_bytearray(bytearray([i % 256]) * 4096)
    writes[h.aio_pwrite(data, i * 4096)] = lambda data=data: None
drain(writes)
def compare(data, i):
    assert data.to_bytearray() == bytearray([i % 256]) * 4096, i
reads = {}
for i in range(200):
    data = nbd.Buffer(4096)
    reads[h.aio_pread(data, i * 4096)] = lambda data=data, i=i: compare(data, i)
drain(reads)
`;

/** Each statement has to fail with this error, and the connection has to survive. */
const ERRORS = `
h.set_strict_mode(0)
size = h.get_size()
def refused(name, *allowed):
    def outer(call):
        try:
            call()
        except nbd.Error as e:
            assert e.errno in allowed, (name, e.errno)
            assert h.aio_is_ready(), name
            return
        raise AssertionError(name + " was accepted")
    return outer
refused("read beyond the end", "EINVAL")(lambda: h.pread(4096, size))
refused("read across the end", "EINVAL")(lambda: h.pread(4096, size - 512))
refused("read at the largest offset", "EINVAL")(lambda: h.pread(512, (1 << 63) - 512))
refused("write beyond the end", "ENOSPC", "EINVAL")(lambda: h.pwrite(bytes(4096), size))
refused("write across the end", "ENOSPC", "EINVAL")(lambda: h.pwrite(bytes(4096), size - 512))
refused("zero across the end", "ENOSPC", "EINVAL")(lambda: h.zero(4096, size - 512))
refused("trim across the end", "ENOSPC", "EINVAL")(lambda: h.trim(4096, size - 512))
refused("cache across the end", "EINVAL")(lambda: h.cache(4096, size - 512))
refused("unaligned read", "EINVAL")(lambda: h.pread(512, 1))
refused("unaligned length of a read", "EINVAL")(lambda: h.pread(511, 0))
refused("unaligned write", "EINVAL")(lambda: h.pwrite(bytes(512), 7))
refused("unaligned length of a write", "EINVAL")(lambda: h.pwrite(bytes(100), 0))
refused("unaligned zero", "EINVAL")(lambda: h.zero(100, 0))
refused("oversize read", "EINVAL", "EOVERFLOW")(lambda: h.pread((32 << 20) + 512, 0))
refused("DF on a write", "EINVAL")(lambda: h.pwrite(bytes(512), 0, nbd.CMD_FLAG_DF))
refused("NO_HOLE on a write", "EINVAL")(lambda: h.pwrite(bytes(512), 0, nbd.CMD_FLAG_NO_HOLE))
h.pwrite(b"\\x77" * 512, size - 512)
assert h.pread(512, size - 512) == b"\\x77" * 512
`;

const DONT_FRAGMENT = `
data = os.urandom(4 << 20)
h.pwrite(data, 0)
chunks = []
def chunk(part, offset, status, error):
    chunks.append((offset, len(part), status))
    return 0
assert h.pread_structured(65536, 4096, chunk, nbd.CMD_FLAG_DF) == data[4096:4096 + 65536]
assert len(chunks) == 1, chunks
chunks.clear()
assert h.pread_structured(4 << 20, 0, chunk) == data
assert sum(length for _, length, _ in chunks) == 4 << 20, chunks
`;

const both = (name: string, script: string): Case[] =>
  [false, true].map((structured) => ({
    name: `nbdsh: ${name} (${structured ? "structured" : "simple"} replies)`,
    run: async ({ daemon }) => {
      await nbdsh(connected(daemon.nbdSocket, structured, script));
    },
  }));

export const cases: readonly Case[] = [
  ...both("reads and writes of every size", READ_WRITE),
  ...both("zeroes, holes, trim", ZEROES_AND_TRIM),
  ...both("FUA, flush, cache", FUA_AND_CACHE),
  ...both("200 requests in flight", PIPELINE),
  ...both("every error, and the connection lives on", ERRORS),
  {
    name: "nbdsh: a read that must not be fragmented comes in one chunk",
    run: async ({ daemon }) => {
      await nbdsh(connected(daemon.nbdSocket, true, DONT_FRAGMENT));
    },
  },
  {
    name: "nbdsh: what one connection wrote and flushed, the others read",
    run: async ({ daemon }) => {
      await nbdsh(`
hs = []
for i in range(8):
    h = nbd.NBD()
    h.set_export_name("0")
    h.connect_unix("${daemon.nbdSocket}")
    hs.append(h)
for round in range(32):
    writer = hs[round % 8]
    data = os.urandom(8192)
    writer.pwrite(data, round * 8192)
    if round % 2: hs[(round + 3) % 8].flush()
    for h in hs:
        assert h.pread(8192, round * 8192) == data, round
for h in hs: h.shutdown()
`);
    },
  },
];
