#!/bin/bash
# The guest's first process. The host's tree is mounted read-only; the guest works on an overlay of it whose changes lie in
# memory, so nothing that runs here can damage the host. rig_run comes from the kernel's command line.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
run=$rig_run
unset rig_run uml_dir mem OLDPWD SHLVL

mount -t proc proc /proc
. "$run/orders"
for line in 1 2; do stty -F /dev/ttyS$line raw -echo; done

# The end: a mark and the status on both serial lines; the host kills the guest when it has read them.
finish() {
  for line in 1 2; do printf '\0rig end %s %s\n' "$RIG_TOKEN" "$1" >/dev/ttyS$line; done
  while :; do sleep 3600; done
}
fail() {
  echo "rig: the guest cannot be set up: $1" >/dev/ttyS2
  finish 125
}

# The only file system that is there before and after; some kernels mount it by themselves.
grep -q ' /dev devtmpfs ' /proc/mounts || mount -t devtmpfs dev /dev
# A copy-on-write root. The run folder and the modules are read before /tmp is hidden: the project may lie there.
cp "$run/command" /dev/command
version=$(uname -r)
mkdir -p /dev/modules/lib/modules
ln -s "$RIG_MODULES" "/dev/modules/lib/modules/$version"
modprobe -d /dev/modules overlay || fail "no overlay file system"
rm -r /dev/modules
mount -t tmpfs tmpfs /tmp
mkdir -p /tmp/upper /tmp/work /tmp/root
mount -t overlay -o lowerdir=/,upperdir=/tmp/upper,workdir=/tmp/work overlay /tmp/root || fail "no writable root"
cd /tmp/root || fail "no new root"
mkdir -p proc sys dev tmp run lib/modules .old
ln -sfn "$RIG_MODULES" "lib/modules/$version"
mount -t proc proc proc
mount -t sysfs sys sys
mount -t devtmpfs dev dev
pivot_root . .old || fail "pivot_root"
cd /
umount -l /.old
ln -sfn /proc/self/fd /dev/fd
for stream in stdin:0 stdout:1 stderr:2; do ln -sfn /proc/self/fd/${stream#*:} /dev/${stream%:*}; done
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
# A project that lies in a folder about to be hidden is put back into its place.
mkdir /.project
mount --bind "$RIG_PROJECT" /.project || fail "the guest does not see $RIG_PROJECT"
for folder in /dev/shm /tmp /run; do mount -t tmpfs -o mode=1777 tmpfs $folder; done
for folder in /var/lib/pathmanager /var/cache/pathmanager /var/log/pathmanager /etc/pathmanager; do mkdir -p $folder && mount -t tmpfs tmpfs $folder; done
mkdir -p /run/lock
mount -t configfs configfs /sys/kernel/config 2>/dev/null || { modprobe configfs && mount -t configfs configfs /sys/kernel/config; }
ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null
hostname rig
mv /dev/command /run/command

export PATH="$RIG_PROJECT/test/rig/bin:$RIG_PROJECT/node_modules/.bin:$PATH"
if [ ! -e "$RIG_PROJECT/package.json" ]; then
  mkdir -p "$RIG_PROJECT" && mount --bind /.project "$RIG_PROJECT"
fi
[ "$RIG_KERNEL" = uml ] || export NODE_OPTIONS="--import=$RIG_PROJECT/test/rig/stripped-hook.mjs"
cd "$RIG_PROJECT" || fail "the guest does not see $RIG_PROJECT"
if [ "$RIG_ARRAY" != none ]; then
  array create >/dev/ttyS2 2>&1 || fail "no array"
fi

# Pipes between, so that the command sees no terminal; the copies end when the last writer of the command has.
exec 3> >(exec cat >/dev/ttyS1)
out=$!
exec 4> >(exec cat >/dev/ttyS2)
err=$!
setsid --wait bash /run/command >&3 2>&4 3>&- 4>&- </dev/null
status=$?
exec 3>&- 4>&-
# A daemon that the command left behind may hold the pipes open: it gets two seconds.
( sleep 2; kill $out $err 2>/dev/null ) 2>/dev/null &
wait $out $err 2>/dev/null
finish $status
