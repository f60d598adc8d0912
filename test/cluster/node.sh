#!/bin/bash
# The first process of a node, in namespaces of its own: what corosync and pacemaker write is this node's alone.
# node.sh NAME FOLDER: FOLDER has corosync.conf, and the sockets of the node's daemon in run/
name=$1 folder=$2
hostname "$name"
ip link set lo up
for place in /run /dev/shm; do mount -t tmpfs -o mode=1777 tmpfs $place; done
mkdir -p /run/pathmanager /run/resource-agents /run/lock "$folder"/{corosync,pacemaker,log}
mount --bind "$folder/run" /run/pathmanager
mkdir -p "$folder"/pacemaker/{cib,pengine,blackbox,cores}
chown -R hacluster:haclient "$folder/pacemaker"
mount --bind "$folder/corosync" /var/lib/corosync
mount --bind "$folder/pacemaker" /var/lib/pacemaker
mkdir -p /var/log/corosync /var/log/pacemaker
mount --bind "$folder/log" /var/log/pacemaker
mount --bind "$folder/log" /var/log/corosync
mount --bind "$folder/corosync.conf" /etc/corosync/corosync.conf
export PCMK_logfile=/var/log/pacemaker/pacemaker.log PCMK_fail_fast=no PCMK_panic_action=off
corosync -f >"$folder/log/corosync.out" 2>&1 &
until corosync-cmapctl -q runtime.members >/dev/null 2>&1 || corosync-quorumtool -s >/dev/null 2>&1; do
  sleep 0.5
  kill -0 $! 2>/dev/null || exit 1
done
pacemakerd -V >"$folder/log/pacemakerd.out" 2>&1 &
wait $!
# Fenced: pacemaker has ended. The node stays until it is killed, as a machine would that nobody restarts.
echo ended >"$folder/ended"
exec sleep infinity
