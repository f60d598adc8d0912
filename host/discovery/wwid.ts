// The name that scsi_id(8) and dm-multipath give a unit: a character for the kind of designator, then the designator, with
// underscores for blanks. Derived from our identity, so it is right where both use the same designator.

/** Characters of the fields of standard INQUIRY data (SPC-4 6.6.2), which scsi_id writes whole. */
const VENDOR_CHARACTERS = 8;
const PRODUCT_CHARACTERS = 16;

const underscored = (text: string): string => text.trim().replaceAll(/\s+/g, "_");

/** The WWID of the unit with this identity; null for identities that scsi_id cannot name. */
export function wwidOf(identity: string): string | null {
  if (identity.startsWith("naa.")) return `3${identity.slice(4)}`;
  if (identity.startsWith("eui.")) return `2${identity.slice(4)}`;
  if (identity.startsWith("t10.")) return `1${underscored(identity.slice(4))}`;
  if (identity.startsWith("iqn.")) return `8${underscored(identity)}`;
  if (identity.startsWith("name.")) return `8${underscored(identity.slice(5))}`;
  const [, vendor = "", product = "", serial = ""] = /^serial\.([^:]*):(.*):([^:]*)$/.exec(identity) ?? [];
  if (serial === "") return null;
  return underscored(`S${vendor.padEnd(VENDOR_CHARACTERS)}${product.padEnd(PRODUCT_CHARACTERS)}${serial}`);
}
