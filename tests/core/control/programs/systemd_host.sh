#!/bin/sh
# A host with a systemd of its own, for `unshare` with new mount, PID, network and cgroup namespaces.
#   systemd_host.sh FOLDER      FOLDER/units has all the units that it knows, and host.target
# Nothing of this machine can be changed from here: every file system is read-only except /run, which is
# new, and the devices; so are the settings of the kernel. systemd knows no unit of this machine: those of a
# real boot would empty /tmp.
set -eu
folder=$1
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t cgroup2 none /sys/fs/cgroup
mount -o remount,bind,ro /
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
findmnt -rno TARGET | while read -r mounted; do
    case $mounted in
    / | /proc* | /dev* | /run* | /sys/fs/cgroup*) ;;
    *) mount -o remount,bind,ro "$mounted" 2>/dev/null || umount -l "$mounted" ;;
    esac
done
if (: >"$folder/written") 2>/dev/null || (: >/tmp/written) 2>/dev/null || (: >/var/tmp/written) 2>/dev/null ||
    (echo 1 >/proc/sys/net/unix/max_dgram_qlen) 2>/dev/null; then
    echo "systemd_host: this machine's files could be changed from here" >&2
    exit 3
fi
mkdir -p /run/sshd /run/lock
ip link set lo up
export SYSTEMD_UNIT_PATH="$folder/units" SYSTEMD_GENERATOR_PATH="$folder/none" container=calorimeter
export SYSTEMD_ENVIRONMENT_GENERATOR_PATH="$folder/none"
exec /lib/systemd/systemd --system --unit=host.target --log-target=console --log-level=warning
