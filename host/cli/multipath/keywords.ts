// Keywords of multipath.conf(5), as of multipath-tools 0.9 to 0.11, that PathManager does not need, each with the reason.
// The keywords that it takes over are in convert.ts.

const KERNEL = "PathManager does not use device-mapper";
const IDENTITY = "a unit is known by its VPD page 0x83, always";
const ALUA = "ALUA states are read from the devices and followed, always";
const TRANSPORT = "a setting of the kernel's transport; PathManager leaves it as it is and does not wait for it";
const UDEV = "concerns udev and device-mapper names";
const NAMES = "units are named lu0, lu1, ..., or by `name` in [[units]]";
const RESERVATIONS =
  "pathmanagerd keeps the keys of persistent reservations itself, with APTPL and ALL_TG_PT where the array has them; register with pathpersist or pathctl reservation";
const OBSOLETE = "obsolete in multipath-tools, too";
const FAULTS = "intermittent-failure monitoring is on, with its own measure: see [marginal]";
const CHECKER = "path patrol checks with TEST UNIT READY";

const REASONS: Readonly<Record<string, readonly string[]>> = {
  [KERNEL]: [
    "reassign_maps",
    "flush_on_last_del",
    "queue_without_daemon",
    "retain_attached_hw_handler",
    "hardware_handler",
    "force_sync",
    "deferred_remove",
    "remove_retries",
    "retrigger_tries",
    "retrigger_delay",
    "uxsock_timeout",
    "auto_resize",
    "pg_timeout",
    "unpriv_sgio",
    "enable_foreign",
    "purge_disconnected",
  ],
  [IDENTITY]: [
    "uid_attribute",
    "uid_attrs",
    "getuid_callout",
    "udev_dir",
    "recheck_wwid",
    "disable_changed_wwids",
    "vpd_vendor",
    "replace_wwid_whitespace",
  ],
  [ALUA]: [
    "prio",
    "prio_args",
    "prio_callout",
    "detect_prio",
    "detect_checker",
    "detect_pgpolicy",
    "detect_pgpolicy_use_tpg",
    "rr_weight",
  ],
  [TRANSPORT]: ["fast_io_fail_tmo", "dev_loss_tmo", "eh_deadline", "max_sectors_kb"],
  [UDEV]: [
    "find_multipaths",
    "find_multipaths_timeout",
    "missing_uev_wait_timeout",
    "skip_kpartx",
    "partition_delimiter",
    "uid",
    "gid",
    "mode",
  ],
  "disks on USB are excluded unless it says yes": ["allow_usb_devices"],
  [NAMES]: ["user_friendly_names", "alias_prefix", "bindings_file", "wwids_file"],
  [RESERVATIONS]: ["prkeys_file", "reservation_key", "all_tg_pt"],
  [OBSOLETE]: ["multipath_dir", "config_dir", "pg_prio_calc", "selector", "default_features", "udev_timeout"],
  [FAULTS]: [
    "san_path_err_forget_rate",
    "marginal_path_double_failed_time",
    "marginal_path_err_rate_threshold",
    "marginal_pathgroups",
    "delay_watch_checks",
    "delay_wait_checks",
  ],
  [CHECKER]: ["log_checker_err", "strict_timing", "max_polling_interval", "ghost_delay"],
  "descriptors are shared where the limit is low; LimitNOFILE in the service sets it": ["max_fds"],
};

/** Why PathManager does not need a keyword; undefined for keywords that it takes over and for unknown ones. */
export const IGNORED: ReadonlyMap<string, string> = new Map(
  Object.entries(REASONS).flatMap(([reason, names]) => names.map((name) => [name, reason] as const)),
);
