// The export's information about itself: nbdinfo, nbd-client's list, libnbd's older handshakes.

import { type Case, check, same } from "../case.ts";
import { nbdsh, run } from "../run.ts";

interface Listed {
  readonly exports: readonly Record<string, unknown>[];
}

async function information(uri: string, ...args: string[]): Promise<Listed> {
  return JSON.parse((await run("nbdinfo", ["--json", ...args, uri])).stdout);
}

export const cases: readonly Case[] = [
  {
    name: "nbdinfo --list names every unit with its size",
    run: async ({ daemon }) => {
      const { exports: listed } = await information(daemon.uri(""), "--list");
      const units = await daemon.units();
      same(
        listed.map((entry) => [entry["export-name"], entry["export-size"]]),
        units.map((unit) => [unit.export?.name, unit.bytes]),
        "names and sizes",
      );
    },
  },
  {
    name: "nbdinfo: size, block sizes, flags",
    run: async ({ daemon }) => {
      const unit = await daemon.unit(0);
      const entry = (await information(daemon.uri("0"))).exports[0] ?? {};
      same(entry["export-size"], unit.bytes, "size");
      same(entry["block_size_minimum"], unit.blockBytes, "minimum block");
      same(entry["block_size_preferred"], 4096, "preferred block");
      same(entry["block_size_maximum"], 32 << 20, "maximum block");
      for (const can of ["flush", "fua", "trim", "zero", "df", "multi_conn", "cache"]) {
        same(entry[`can_${can}`], true, `can_${can}`);
      }
      same(entry["is_read_only"], false, "is_read_only");
      same(Number((await run("nbdinfo", ["--size", daemon.uri("0")])).stdout), unit.bytes, "--size");
      await run("nbdinfo", ["--can", "multi-conn", daemon.uri("0")]);
      await run("nbdinfo", ["--is", "readonly", daemon.uri("0")], { statuses: [2] });
    },
  },
  {
    name: "every name of a unit leads to it: number, name, identity",
    run: async ({ daemon }) => {
      const unit = await daemon.unit(1);
      for (const name of ["1", "%231", unit.name, unit.identity.text]) {
        same(Number((await run("nbdinfo", ["--size", daemon.uri(name)])).stdout), unit.bytes, name);
      }
    },
  },
  {
    name: "an unknown export is refused with a reason",
    run: async ({ daemon }) => {
      const { stderr } = await run("nbdinfo", [daemon.uri("nobody")], { statuses: [1] });
      check(/no such|not found|unknown|requested export/i.test(stderr), stderr);
      await nbdsh(`
h = nbd.NBD()
h.set_export_name("nobody")
h.set_opt_mode(True)
h.connect_unix("${daemon.nbdSocket}")
try:
    h.opt_go()
    raise SystemExit("an unknown export was accepted")
except nbd.Error as e:
    assert e.errno in ("ENOENT", "EINVAL"), e.errno
h.set_export_name("0")
h.opt_go()
assert h.get_size() > 0
h.shutdown()
`);
    },
  },
  {
    name: "old ways in: no fixed newstyle, no NO_ZEROES, no structured replies, no GO",
    run: async ({ daemon }) => {
      const unit = await daemon.unit(0);
      await nbdsh(`
for flags in (0, nbd.HANDSHAKE_FLAG_FIXED_NEWSTYLE, nbd.HANDSHAKE_FLAG_NO_ZEROES,
              nbd.HANDSHAKE_FLAG_FIXED_NEWSTYLE | nbd.HANDSHAKE_FLAG_NO_ZEROES):
    for structured in (False, True):
        h = nbd.NBD()
        h.set_handshake_flags(flags)
        h.set_request_structured_replies(structured)
        h.set_export_name("0")
        h.connect_unix("${daemon.nbdSocket}")
        assert h.get_size() == ${unit.bytes}, h.get_size()
        h.pwrite(b"\\x11" * 4096, 8192)
        assert h.pread(4096, 8192) == b"\\x11" * 4096
        h.shutdown()
`);
    },
  },
  {
    name: "libnbd's option mode: list, info, aborted, meta contexts",
    run: async ({ daemon }) => {
      const names = (await daemon.units()).map((unit) => unit.export?.name);
      await nbdsh(`
h = nbd.NBD()
h.set_opt_mode(True)
h.connect_unix("${daemon.nbdSocket}")
names = []
h.opt_list(lambda name, description: names.append(name))
assert names == ${JSON.stringify(names)}, names
h.set_full_info(True)
h.set_export_name("0")
h.opt_info()
assert h.get_canonical_export_name() == names[0], h.get_canonical_export_name()
contexts = []
h.add_meta_context("base:allocation")
h.opt_list_meta_context(lambda name: contexts.append(name))
assert contexts == ["base:allocation"], contexts
h.opt_go()
assert h.can_meta_context("base:allocation")
h.shutdown()
h = nbd.NBD()
h.set_opt_mode(True)
h.connect_unix("${daemon.nbdSocket}")
h.opt_abort()
assert h.aio_is_closed() or h.aio_is_dead()
`);
    },
  },
  {
    name: "TLS is refused where a client insists on it",
    run: async ({ daemon }) => {
      await nbdsh(`
h = nbd.NBD()
if h.supports_tls():
    h.set_tls(nbd.TLS_REQUIRE)
    h.set_tls_verify_peer(False)
    h.set_export_name("0")
    try:
        h.connect_unix("${daemon.nbdSocket}")
        raise SystemExit("connected without TLS")
    except nbd.Error as e:
        assert "TLS" in e.string, e.string
`);
    },
  },
];
