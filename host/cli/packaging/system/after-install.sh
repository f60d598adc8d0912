# After installation and upgrade, for Debian's and rpm's packages.
systemd-sysusers pathmanager.conf || true
systemd-tmpfiles --create pathmanager.conf || true
if [ -e /run/udev/control ]; then
  udevadm control --reload || true
fi
if [ -d /run/systemd/system ]; then
  modprobe --all sg nbd || echo "pathmanager: the modules sg and nbd cannot be loaded; \`pathctl doctor\` tells more" >&2
  journalctl --update-catalog >/dev/null 2>&1 || true
  systemctl daemon-reload
fi
if /usr/lib/pathmanager/boot/wanted; then
  if command -v update-initramfs >/dev/null; then
    update-initramfs -u || true
  elif command -v dracut >/dev/null; then
    dracut --force || true
  fi
fi
