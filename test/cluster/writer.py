#!/usr/bin/python3
"""The load of the cluster test, and its resource agent (ocf:pathmanager-test:Writer): one process that writes blocks which say who wrote
them. Called as `writer.py load`, it writes; as `writer.py check DEVICE`, it compares every block with what all writers have recorded.

Each block carries the writer's name, its generation (one more than any before, at each start), and a number that only grows. Before a
block is written that fact is recorded, and once the write is acknowledged, that too, with the time in ms. So of every block it is known what it may hold: the last
acknowledged write, or one begun after that. Anything else is a lost write, or one that landed late: two writers at once."""

import errno
import glob
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import time
import zlib

sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../host/cli/packaging/cluster")]
from pathmanager_api import Daemon, Refused, Unreachable

SUCCESS, ERR_GENERIC, ERR_UNIMPLEMENTED, NOT_RUNNING = 0, 1, 3, 7
BLOCK_BYTES, BLOCKS = 4096, 256
MAGIC = b"pm-block"
HEAD = struct.Struct("<8sQQQ8s")
LOGS = "/tmp/cluster/writes"
NOTE = "/run/resource-agents/writer"

METADATA = """<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="Writer" version="1.0"><version>1.0</version>
<longdesc lang="en">Writes to a unit.</longdesc><shortdesc lang="en">Writes to a unit</shortdesc>
<parameters><parameter name="unit" required="1"><longdesc lang="en">The unit.</longdesc><shortdesc lang="en">unit</shortdesc><content type="string"/></parameter></parameters>
<actions><action name="start" timeout="120s"/><action name="stop" timeout="120s"/><action name="monitor" timeout="60s" interval="3s"/><action name="meta-data" timeout="5s"/></actions>
</resource-agent>
"""


def block(generation, number, index, writer):
    body = HEAD.pack(MAGIC, generation, number, index, writer.encode().ljust(8, b"\0"))
    body = body.ljust(BLOCK_BYTES - 4, bytes([number % 251]))
    return body + struct.pack("<I", zlib.crc32(body))


def contents(data, index):
    """(generation, number) of a block; (0, 0) if nothing was written yet."""
    if not any(data):
        return (0, 0)
    magic, generation, number, at, _ = HEAD.unpack_from(data)
    if magic != MAGIC or at != index or struct.unpack("<I", data[-4:])[0] != zlib.crc32(data[:-4]):
        raise SystemExit("block %d is damaged" % index)
    return (generation, number)


class Disk:
    def __init__(self, device, flags=os.O_RDWR):
        self._descriptor = os.open(device, flags | os.O_DIRECT)
        self._buffer = mmap.mmap(-1, BLOCK_BYTES)

    def read(self, index):
        if os.preadv(self._descriptor, [self._buffer], index * BLOCK_BYTES) != BLOCK_BYTES:
            raise OSError(errno.EIO, "short read")
        return contents(bytes(self._buffer), index)

    def write(self, index, data):
        self._buffer[:] = data
        if os.pwritev(self._descriptor, [self._buffer], index * BLOCK_BYTES) != BLOCK_BYTES:
            raise OSError(errno.EIO, "short write")


def records():
    """What each block may hold, from the records of all writers: the last acknowledged write, and those begun since."""
    may = [{(0, 0)} for _ in range(BLOCKS)]
    for name in sorted(glob.glob(LOGS + "/*"), key=lambda path: int(os.path.basename(path).split(".")[0])):
        generation = int(os.path.basename(name).split(".")[0])
        with open(name, encoding="ascii") as file:
            lines = file.read().split("\n")
        # The last line may be cut: its writer was killed.
        for what, index, *numbers in (line.split() for line in lines[:-1]):
            if what == "begin":
                may[int(index)].add((generation, int(numbers[0])))
            elif what == "done":
                may[int(index)] = {(generation, int(numbers[0]))}
            else:
                may[int(index)] = {(int(numbers[0]), int(numbers[1]))}
    return may


def check(disk):
    """Every block of the disk, which must be one that it may be."""
    may = records()
    found = [disk.read(index) for index in range(BLOCKS)]
    wrong = ["block %d holds %s, not one of %s" % (at, item, sorted(may[at])) for at, item in enumerate(found) if item not in may[at]]
    if wrong:
        with open(LOGS + "-wrong", "a", encoding="ascii") as file:
            file.write("\n".join(wrong) + "\n")
        raise SystemExit("\n".join(wrong))
    return found


def load(device, writer):
    os.makedirs(LOGS, exist_ok=True)
    disk = Disk(device)
    known = check(disk)
    earlier = [int(os.path.basename(path).split(".")[0]) for path in glob.glob(LOGS + "/*")]
    generation = 1 + max([0, *earlier, *(item[0] for item in known)])
    with open("%s/%d.%s" % (LOGS, generation, writer), "x", buffering=1, encoding="ascii") as log:
        # From now on no earlier writer may change anything.
        for index, (of, at) in enumerate(known):
            log.write("found %d %d %d\n" % (index, of, at))
        number = 0
        while True:
            index = random.randrange(BLOCKS)
            if disk.read(index) != known[index]:
                with open(LOGS + "-wrong", "a", encoding="ascii") as file:
                    file.write("generation %d: block %d is not what it was: somebody else writes\n" % (generation, index))
                raise SystemExit(1)
            number += 1
            log.write("begin %d %d\n" % (index, number))
            disk.write(index, block(generation, number, index, writer))
            log.write("done %d %d %d\n" % (index, number, time.time() * 1000))
            known[index] = (generation, number)
            time.sleep(0.02)


def device_of(unit):
    return Daemon().unit(unit)["attachments"][0]["device"]


def running():
    try:
        with open(NOTE, encoding="ascii") as file:
            pid = int(file.read())
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            return pid if file.read().rsplit(")", 1)[1].split()[0] != "Z" else None
    except (OSError, ValueError):
        return None


def start():
    if running() is not None:
        return SUCCESS
    device = device_of(os.environ["OCF_RESKEY_unit"])
    child = subprocess.Popen(
        [sys.executable, os.path.realpath(__file__), "load", device, os.uname().nodename],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=open("/tmp/cluster/writer-%s.log" % os.uname().nodename, "a"),
    )
    os.makedirs(os.path.dirname(NOTE), exist_ok=True)
    with open(NOTE, "w", encoding="ascii") as file:
        file.write(str(child.pid))
    return SUCCESS


def stop():
    pid = running()
    while pid is not None:
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
        pid = running()
    return SUCCESS


def main():
    action = sys.argv[1] if len(sys.argv) > 1 else ""
    if action == "load":
        load(sys.argv[2], sys.argv[3])
    if action == "check":
        check(Disk(sys.argv[2], os.O_RDONLY))
        return SUCCESS
    if action == "meta-data":
        sys.stdout.write(METADATA)
        return SUCCESS
    if action == "monitor":
        return NOT_RUNNING if running() is None else SUCCESS
    try:
        return {"start": start, "stop": stop}.get(action, lambda: ERR_UNIMPLEMENTED)()
    except (Refused, Unreachable, OSError, IndexError) as thrown:
        sys.stderr.write("ERROR: %s\n" % thrown)
        return ERR_GENERIC


if __name__ == "__main__":
    sys.exit(main())
