# The first layer: Debian with the servers of a mail host, as its packages leave them. Run beside
# its root folder, which is $1.
root=$1
policy=$root/usr/sbin/policy-rc.d
debootstrap --variant=minbase --include=systemd,systemd-sysv,libpam-systemd,dbus \
    trixie "$root" "$MIRROR"
# The machine's way to its mirror is this root's way, too.
{ apt-config dump --format '%f "%v";%n' Acquire | grep -i '::proxy'; } \
    >"$root/etc/apt/apt.conf.d/90proxy" 2>/dev/null || :
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"
mount -t proc proc "$root/proc"
DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$root" \
    apt-get -q -y install --no-install-recommends \
    polkitd firewalld nftables openssh-server iproute2 python3 python3-venv \
    postfix postfix-mysql dovecot-imapd dovecot-mysql mariadb-server rsyslog logrotate
umount "$root/proc"
rm "$policy"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
