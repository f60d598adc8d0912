# After removal, for Debian's and rpm's packages: the paths are disks like any other again.
rm -f /etc/pathmanager/units /run/pathmanager/units /etc/multipath/conf.d/pathmanager.conf
if [ -e /etc/multipath/wwids ]; then
  sed -i '/^# of pathmanager:$/,+1d' /etc/multipath/wwids
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
fi
if [ -e /run/udev/control ]; then
  udevadm control --reload || true
  udevadm trigger --subsystem-match=block --sysname-match='sd*' || true
fi
