#!/bin/sh
# Holds a mail host: boot.sh LOWER MOUNTPOINT CGROUP. Runs in network, mount and pid namespaces of
# its own, in which it is process 1: when it ends, the kernel takes back all that it started and
# mounted.
#
# LOWER       the layers of the root folder, the topmost first, with ":" between them; never written
# MOUNTPOINT  an empty folder. What the host writes is kept there in memory, over reboots
# CGROUP      an empty cgroup, the root of the host's own cgroups
set -eu
lower=$1 mountpoint=$2 cgroup=$3
here=$(dirname -- "$(readlink -f -- "$0")")
mount -t tmpfs -o mode=755 host "$mountpoint"
cd "$mountpoint"
mkdir upper work root
mount -t overlay -o "lowerdir=$lower,upperdir=$PWD/upper,workdir=$PWD/work" overlay root
echo $$ >"$cgroup/cgroup.procs"
# A reboot ends its init by SIGHUP; whatever else ends it ends the host.
status=129
while [ "$status" = 129 ]; do
    status=0
    unshare --mount --pid --cgroup --uts --ipc --fork --kill-child --propagation private \
        sh "$here/init.sh" "$mountpoint/root" || status=$?
done
exit "$status"
