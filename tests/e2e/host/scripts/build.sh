#!/bin/sh
# Makes one layer: build.sh PART LOWER RECIPE INPUT. Runs in mount and pid namespaces of its own, so
# that the kernel takes back mounts and processes, however this ends.
#
# PART    the new layer's folder; what it adds to LOWER is in PART/tree at the end
# LOWER   the layers below, the topmost first, with ":" between them; "" if there are none
# RECIPE  the shell script that makes the layer, run in the new root (the first one: beside it)
# INPUT   a folder that the recipe finds at /mnt
set -eu
part=$1 lower=$2 recipe=$3 input=$4
mkdir "$part/tree"
if [ -z "$lower" ]; then
    exec sh -eu "$recipe" "$part/tree"
fi
mkdir "$part/work" "$part/root"
mount -t overlay -o "lowerdir=$lower,upperdir=$part/tree,workdir=$part/work" overlay "$part/root"
cd "$part/root"
mount -t proc proc proc
mount --bind "$input" mnt
exec chroot . /bin/sh -eu <"$recipe"
