// Settings that some arrays need by nature, as small a table as possible: an array has an entry only if it differs from what its
// ALUA states and the learned times already tell. The file wins over it.

/** An array, by its INQUIRY data. Texts are POSIX extended regular expressions, as published. */
interface KnownArray {
  readonly name: string;
  readonly vendor: string;
  readonly product: string;
  /** How long all paths may be away while its controllers restart or take over from each other. */
  readonly noPathMs: number;
}

/**
 * Where the figures come from: an array's `no_path_retry` in the hardware table of multipath-tools, times its default polling interval.
 * Arrays with less than the default of `timeouts.no_path_ms` are left out, and so are those that queue without end, which nothing
 * does here.
 */
export const KNOWN_ARRAYS_SOURCE = "multipath-tools, libmultipath/hwtable.c: no_path_retry times 5 s";

export const KNOWN_ARRAYS: readonly KnownArray[] = [
  { name: "HPE 3PAR, Primera, Alletra 9000", vendor: "^3PARdata", product: "^VV", noPathMs: 90_000 },
  { name: "HPE MSA 1040 to 2070", vendor: "^HPE?$", product: "^MSA [12]0[4567]0 ", noPathMs: 90_000 },
  { name: "Dell EMC CLARiiON, VNX, Unity", vendor: "^DGC", product: "^(RAID|DISK|VRAID)", noPathMs: 300_000 },
  { name: "Dell PowerVault MD3", vendor: "^DELL", product: "^MD3", noPathMs: 150_000 },
  { name: "Hitachi VSP, HPE XP", vendor: "^(HITACHI|HPE?)$", product: "^OPEN-", noPathMs: 50_000 },
  { name: "Fujitsu ETERNUS DX", vendor: "^FUJITSU", product: "^ETERNUS_DX(H|L|M|400|8000)", noPathMs: 50_000 },
];
