// `[[receivers]]`: a failing path reaches a webhook in the reference's order; a receiver that is down harms nothing; a reload and
// `pathctl messages test` work on them.

import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { pathctl } from "../../../host/cli/pathctl/main.ts";
import { checkConfiguration } from "../../../host/control/settings/configuration.ts";
import { until } from "../../until.ts";
import { run } from "../cli/server.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

interface Heard {
  readonly message: number;
  readonly identity: string | null;
  readonly array: string | null;
  readonly path: string | null;
  readonly detail: Record<string, unknown>;
}

async function webhook(t: ExecutionContext, port = 0) {
  const heard: Heard[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      heard.push(...(JSON.parse(body) as { events: Heard[] }).events);
      response.end();
    });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const { port: own } = server.address() as AddressInfo;
  return { heard, server, port: own, url: `http://127.0.0.1:${own}/hook` };
}

const receiver = (name: string, ...lines: string[]): string => `[[receivers]]\nname = "${name}"\n${lines.join("\n")}\n`;
const ARRAY = "[array]\nunits = 1\npaths = 2\nunit_mib = 1\n";
const PATROL = "patrol.interval_s = 1\npatrol.threshold_s = 1\npatrol.timeout_s = 1\nmarginal.enabled = false\n";

test("a path dies and comes back: the receiver gets the events of the reference, in their order, while another is down", async (t) => {
  const { heard, url } = await webhook(t);
  const receivers =
    receiver("ops", 'kind = "webhook"', `url = "${url}"`) +
    receiver("down", 'kind = "webhook"', 'url = "http://127.0.0.1:1/"');
  const daemon = await TestDaemon.start(t, `${PATROL}${ARRAY}${receivers}`);
  const { paths } = await daemon.get<"paths">(t, "/v1/paths");
  const victim = paths.find(({ symbol }) => symbol === ">")?.number ?? "";
  await daemon.change(t, "POST", "/v1/array/faults", { fault: { kind: "port-down" }, where: { path: victim } });
  const has = (message: number) => () => heard.some((event) => event.message === message);
  await until("the loss of redundancy is heard", has(278));
  await daemon.change(t, "DELETE", "/v1/array/faults");
  await until("its end is heard", has(619));
  await until("that the other is down is heard", has(690));
  const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
  const mine = events.filter(({ manager }) => manager);
  await until("all of them are heard", () => heard.length >= mine.length);
  t.deepEqual(
    heard.map(({ message }) => message),
    mine.map(({ message }) => message),
  );
  const told = heard.filter(({ message }) => message <= 278).map(({ message }) => message);
  t.true(told.indexOf(257) < told.indexOf(258) && told.indexOf(258) < told.indexOf(273), told.join(" "));
  t.true(told.includes(272), "the reference names the manager for the beginning, too");
  // Hosts that share a unit say the same of it.
  const { units } = await daemon.get<"units">(t, "/v1/units");
  const [unit] = units;
  const failover = heard.find(({ message }) => message === 258);
  t.is(failover?.identity, unit?.identity.text);
  t.is(failover?.array, `${unit?.vendor} ${unit?.product}`);
  t.is(heard.find(({ message }) => message === 690)?.identity, null);
  const { receivers: views } = await daemon.get<"receivers">(t, "/v1/receivers");
  t.is(views.find(({ name }) => name === "ops")?.failing, null);
  t.regex(views.find(({ name }) => name === "down")?.failing ?? "", /ECONNREFUSED/);
});

test("messages test says what came back, of one receiver and of all", async (t) => {
  const { heard, url } = await webhook(t);
  const receivers =
    receiver("ops", 'kind = "webhook"', `url = "${url}"`, "messages = [259]") +
    receiver("down", 'kind = "syslog"', 'address = "tcp://127.0.0.1:1"');
  const daemon = await TestDaemon.start(t, `${ARRAY}${receivers}`);
  const one = await run(pathctl, ["messages", "test", "ops"], daemon.socket);
  t.is(one.status, 0, one.err);
  t.is(one.out, "ops  webhook  it took the message\n");
  t.deepEqual(
    heard.map(({ message }) => message),
    [692],
  );
  const all = await run(pathctl, ["messages", "test"], daemon.socket);
  t.is(all.status, 1);
  t.regex(all.out, /down {2}syslog {2}FAILED: .*ECONNREFUSED/);
  const none = await run(pathctl, ["messages", "test", "nobody"], daemon.socket);
  t.regex(none.err, /there is no receiver nobody/);
});

test("a reload brings, changes and removes receivers; a mistake in it changes none", async (t) => {
  const { heard, url } = await webhook(t);
  const daemon = await TestDaemon.start(t, ARRAY);
  const names = async (): Promise<string[]> => {
    const { receivers } = await daemon.get<"receivers">(t, "/v1/receivers");
    return receivers.map(({ name }) => name);
  };
  const ops = receiver("ops", 'kind = "webhook"', `url = "${url}"`);
  TestDaemon.configure(daemon.folder, `${ARRAY}${ops}`);
  await daemon.change(t, "POST", "/v1/config/reload");
  t.deepEqual(await names(), ["ops"]);
  await until("it hears of it", () => heard.some(({ message }) => message === 626));
  const secret = join(mkdtempSync(join(tmpdir(), "pm-secret-")), "secret");
  writeFileSync(secret, "0123456789abcdef\n", { mode: 0o644 });
  TestDaemon.configure(daemon.folder, `${ARRAY}${ops.replace("ops", "other")}secret_file = "${secret}"\n`);
  const { message } = await daemon.refused(t, "POST", "/v1/config/reload");
  t.regex(message, /receivers\.other\.secret_file: others than its owner and group may use/);
  t.deepEqual(await names(), ["ops"]);
  TestDaemon.configure(daemon.folder, ARRAY);
  await daemon.change(t, "POST", "/v1/config/reload");
  t.deepEqual(await names(), []);
});

const problemsOf = (text: string): string[] => {
  const checked = checkConfiguration(text, "f");
  return checked.ok ? [] : checked.mistakes.map(({ key, problem }) => `${key}: ${problem}`);
};

test("mistakes in a receiver are named", (t) => {
  t.deepEqual(problemsOf(receiver("a", 'kind = "journald"')), []);
  t.deepEqual(problemsOf(receiver("a", 'kind = "webhook"')), ["receivers[0].kind: a webhook receiver needs url"]);
  t.deepEqual(problemsOf(receiver("a", 'kind = "journald"', 'url = "http://x"')), [
    "receivers[0].url: is not for a journald receiver",
  ]);
  t.regex(problemsOf(receiver("a", 'kind = "webhook"', 'url = "ftp://x"'))[0] ?? "", /must be an https: or http: URL/);
  t.regex(problemsOf(receiver("a", 'kind = "webhook"', 'url = "http://u:pw@x"'))[0] ?? "", /must not hold a password/);
  t.regex(problemsOf(receiver("a", 'kind = "syslog"', 'address = "logs"'))[0] ?? "", /must be unix:\/path, udp/);
  t.regex(problemsOf(receiver("a", 'kind = "mail"', 'to = "-oX"'))[0] ?? "", /must be an e-mail address/);
  t.regex(problemsOf(receiver("a b", 'kind = "journald"'))[0] ?? "", /must be 1 to 32 letters/);
  const snmp = (...lines: string[]): string[] =>
    problemsOf(receiver("a", 'kind = "snmp"', 'address = "udp://h:162"', ...lines));
  t.deepEqual(snmp('community_file = "/f"'), []);
  t.deepEqual(snmp('version = "3"', 'user = "u"', 'auth_file = "/f"', 'privacy_file = "/f"'), []);
  t.deepEqual(snmp(), ["receivers[0].kind: an snmp receiver of version 2c needs community_file"]);
  t.deepEqual(snmp('version = "3"', 'user = "u"', 'privacy_file = "/f"'), [
    "receivers[0].privacy_file: needs auth_file beside it",
  ]);
  const twice = receiver("a", 'kind = "journald"').repeat(2);
  t.deepEqual(problemsOf(twice), ["receivers[1].name: another receiver is named a"]);
});
