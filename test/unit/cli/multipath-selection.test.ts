// What multipath-tools would take, we take after an import, and nothing more; what cannot be said so is a mistake.

import test from "ava";
import fc from "fast-check";
import { importText, tomlText } from "../../../host/cli/multipath/import.ts";
import { BUILT_IN, USB } from "../../../host/cli/multipath/blacklist.ts";
import { checkConfiguration } from "../../../host/control/settings/configuration.ts";
import { isSelected, maySelect, type Selectable, type Selector } from "../../../host/discovery/select.ts";
import { wwidOf } from "../../../host/discovery/wwid.ts";

const DISKS: readonly Selectable[] = [
  ["naa.600508b1001c4d9cd7ba8a5e0a0b0c0d", "HP", "LOGICAL VOLUME", "sda", "scsi:sas"],
  ["naa.36005076801234567890123456789abc".replace("naa.3", "naa."), "IBM", "2145", "sdb", "scsi:fcp"],
  ["naa.6000d310000000000000000000000001", "Nimble", "Server", "sdc", "scsi:iscsi"],
  ["naa.5000c500a1b2c3d4", "ATA", "ST4000NM0035", "sdd", "scsi:ata"],
  ["t10.LSI disk  7", "LSI", "MR9361", "sdaa", "scsi:unspec"],
  ["naa.600a0b80000000000000000000000002", "LSI", "Universal Xport", "sdab", "scsi:fcp"],
  ["eui.0011223344556677", "nimble", "Server", "sde", "scsi:usb"],
].map(([identity = "", vendor = "", product = "", blockDevice = "", protocol = ""], index) => ({
  identities: [identity],
  vendor,
  product,
  blockDevice,
  protocol,
  device: `/dev/sg${index}`,
  number: `${index}:0:0:0`,
}));

/** Names of the disks that are taken after an import of `text`. */
function taken(text: string): string {
  const converted = importText(text);
  if (converted.errors.length > 0) throw new Error(converted.errors.map(({ message }) => message).join());
  const checked = checkConfiguration(tomlText(converted, "x"), "x");
  if (!checked.ok) throw new Error(checked.mistakes.map(({ problem }) => problem).join());
  const { devices, exclude } = checked.configuration;
  return DISKS.filter((disk) => isSelected(devices, exclude, disk))
    .map(({ blockDevice }) => (blockDevice ?? "").slice(2))
    .join(" ");
}

const ALL = "a b c d aa";

const cases: readonly (readonly [string, string])[] = [
  ["", ALL],
  ["defaults { allow_usb_devices yes\n}", `${ALL} e`],
  ['blacklist { device { vendor ".*"\nproduct ".*"\n}\n}', ""],
  [
    'blacklist { device { vendor ".*"\nproduct ".*"\n}\n}\nblacklist_exceptions { device { vendor "Nimble"\nproduct "Server"\n}\n}',
    "c",
  ],
  ['blacklist { wwid ".*"\n}\nblacklist_exceptions { wwid "3600508b1001c4d9cd7ba8a5e0a0b0c0d"\n}', "a"],
  ['blacklist { wwid "*"\n}\nblacklist_exceptions { wwid "^36005"\n}', "a b"],
  // Exceptions of one criterion say nothing about another.
  ['blacklist { wwid ".*"\n}\nblacklist_exceptions { device { vendor "Nimble"\n}\n}', ""],
  ['blacklist { devnode ".*"\n}\nblacklist_exceptions { devnode "^sd[bc]$"\n}', "b c"],
  ['blacklist { devnode ".*"\nwwid ".*"\n}\nblacklist_exceptions { devnode "^sd[bc]$"\nwwid "^36000d"\n}', "c"],
  ['blacklist { devnode ".*"\n}\nblacklist_exceptions { devnode ".*"\n}', ALL],
  ['blacklist { device { vendor "(ATA|LSI)"\n}\n}', "a b c"],
  ['blacklist { device { vendor "ata"\n}\n}', ALL],
  ['blacklist { wwid "!^36005076.*"\n}', "b"],
  ['blacklist { devnode "^sd[a-c]$"\n}', "d aa"],
  ['blacklist { devnode "!^sd[a-c]$"\n}', "a b c"],
  ['blacklist { devnode "^(ram|raw|loop|fd|md|dm-|sr|scd|st)[0-9]*"\ndevnode "^hd[a-z]"\n}', ALL],
  ['blacklist { devnode "^sd"\n}', ""],
  ['blacklist { protocol "scsi:(ata|sas)"\n}', "b c aa"],
  ['blacklist { protocol "!scsi:fcp"\n}\nblacklist_exceptions { protocol "scsi:iscsi"\n}', "b c"],
  ['blacklist { device { vendor "!IBM|Nimble"\n}\n}', "b c"],
  ['blacklist { device { product "ST4"\n}\nwwid "1LSI_disk_7"\n}', "a b c"],
  ["blacklist { wwid 35000c500\n}", "a b c aa"],
  ['devices { device { vendor "IBM"\nproduct ".*"\nproduct_blacklist "21.5"\n}\n}', "a c d aa"],
  ['blacklist_exceptions { device { product "Universal Xport"\n}\n}', `${ALL} ab`],
  ['blacklist_exceptions { property "(SCSI_IDENT_|ID_WWN)"\n}', ALL],
];

for (const [text, names] of cases) {
  test(`taken: ${names === "" ? "nothing" : names}, by ${JSON.stringify(text)}`, (t) => {
    t.is(taken(text), names);
  });
}

const mistakes: readonly (readonly [string, number, number, RegExp])[] = [
  [
    "blacklist {\n property ID_ATA\n}",
    2,
    2,
    /udev properties are not read, so the devices it leaves out would be taken/,
  ],
  ['blacklist {\n device {\n  vendor "["\n }\n}', 3, 10, /vendor: \[ is no regular expression: \[ is not closed/],
  ['blacklist {\n wwid "(a)\\1"\n}', 2, 7, /back-reference/],
  [
    "blacklist {\n wwid WDC_WD10EZEX\n}",
    2,
    7,
    /serial number of an ATA disk.*blacklist that disk by its vendor and product/,
  ],
  ["blacklist {\n wwid 3600508b1 3600508b2\n}", 2, 7, /what follows the value has no effect/],
  ["blacklist {\n devnode !^sda\n}", 2, 2, /devnode has no value/],
  ["blacklist {\n wwwid 3600508b1\n}", 2, 2, /wwwid is no keyword of a blacklist/],
  [
    "blacklist {\n wwid 36005\n}\ndefaults {\n uid_attribute ID_WWN\n}",
    5,
    2,
    /makes WWIDs that PathManager does not know/,
  ],
];

for (const [text, line, column, message] of mistakes) {
  test(`what cannot be said and would take more is a mistake: ${JSON.stringify(text)}`, (t) => {
    const [first] = importText(text).errors;
    t.regex(first?.message ?? "", message);
    t.deepEqual([first?.line, first?.column], [line, column]);
  });
}

test("a selection that leaves nothing stays one, and is told", (t) => {
  t.deepEqual(importText('blacklist {\n wwid ".*"\n}').configuration, { devices: [] });
});

test("a device that is excluded whoever it is, is not asked who it is; one that may be chosen is", (t) => {
  const [disk] = DISKS;
  if (disk === undefined) throw new Error("no disk");
  const unknown = { ...disk, identities: null };
  const wwid: Selector = { wwid: { regex: "^36005" } };
  t.false(maySelect("all", [{ block_device: "sda" }], unknown));
  t.true(maySelect("all", [wwid], unknown));
  t.false(maySelect([{ ...wwid, vendor: "IBM" }], [], unknown));
  t.true(maySelect("all", [{ vendor: "HP", except: [wwid] }], unknown));
  t.true(isSelected("all", [{ vendor: "HP", except: [wwid] }], disk));
  t.false(maySelect("all", [{ vendor: "HP", except: [{ vendor: "IBM" }] }], unknown));
});

test("identities have the WWIDs that scsi_id gives them", (t) => {
  t.is(wwidOf("naa.6001405"), "36001405");
  t.is(wwidOf("eui.0011"), "20011");
  t.is(wwidOf("t10.LIO-ORG lu0:  7 "), "1LIO-ORG_lu0:_7");
  t.is(wwidOf("iqn.2003-01.org:x"), "8iqn.2003-01.org:x");
  t.is(wwidOf("serial.LIO-ORG:lu0:abc"), "SLIO-ORG_lu0_abc");
});

test("whatever the file says: what is not known may be chosen if what is known is", (t) => {
  const regex = fc.constantFrom(".*", "^3", "6005", "IBM|LSI", "^sd[ab]$", "scsi:fcp", "!^3600", "!^sd[ab]", "x");
  const keyword = fc.constantFrom("wwid", "devnode", "protocol");
  const line = fc.tuple(keyword, regex).map(([name, value]) => ` ${name} "${value}"\n`);
  const device = fc
    .tuple(regex, regex)
    .map(([vendor, product]) => ` device {\n vendor "${vendor}"\n product "${product}"\n }\n`);
  const lines = fc.array(fc.oneof(line, device), { maxLength: 4 }).map((all) => all.join(""));
  fc.assert(
    fc.property(lines, lines, (black, white) => {
      const { configuration, errors } = importText(`blacklist {\n${black}}\nblacklist_exceptions {\n${white}}\n`);
      const { devices = [], exclude = [] } = configuration;
      t.deepEqual(errors, []);
      for (const disk of DISKS) {
        if (isSelected(devices, exclude, disk)) t.true(maySelect(devices, exclude, { ...disk, identities: null }));
      }
      const bare = importText(`blacklist {\n${black}}\n`).configuration;
      for (const disk of DISKS) {
        // Exceptions only ever add.
        if (isSelected(bare.devices ?? [], bare.exclude ?? [], disk)) t.true(isSelected(devices, exclude, disk));
      }
    }),
  );
  t.is(BUILT_IN.length, 5);
  t.deepEqual(USB, { protocol: "scsi:usb" });
});
