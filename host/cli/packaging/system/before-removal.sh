# Before removal, for Debian's and rpm's packages: I/O to a device without its daemon would wait, and then fail. Whichever driver it is of,
# udev's helper knows whose it is, also while no daemon runs.
attached=
for folder in /sys/block/nbd* /sys/block/ublkb* /sys/block/sd*; do
  device=${folder##*/}
  case "$(/usr/lib/udev/pathmanager_id "$device" 2>/dev/null)" in
    *PATHMANAGER_UNIT=*)
      echo "pathmanager: /dev/$device is still attached; unmount it, then: pathctl detach /dev/$device" >&2
      attached=yes
      ;;
  esac
done
[ -z "$attached" ] || exit 1
if [ -d /run/systemd/system ]; then
  systemctl disable --now pathmanagerd.service || exit 1
  systemctl stop pathmanager-volumes.service pathmanager-silent.service || true
fi
