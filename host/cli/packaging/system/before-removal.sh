# Before removal, for Debian's and rpm's packages: I/O to a device without its daemon would wait, and then fail.
for backend in /sys/block/nbd*/backend; do
  [ -e "$backend" ] || continue
  case "$(cat "$backend")" in
    "pathmanager "*)
      device=${backend#/sys/block/}
      echo "pathmanager: /dev/${device%/backend} is still attached; unmount it, then: pathctl detach /dev/${device%/backend}" >&2
      exit 1
      ;;
  esac
done
if [ -d /run/systemd/system ]; then
  systemctl disable --now pathmanagerd.service || exit 1
fi
