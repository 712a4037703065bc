# The last layer: mailbanned, installed by the very commands of README.md from the checkout in /mnt.
export PIP_NO_INDEX=1 PIP_FIND_LINKS=/srv/wheels PIP_ROOT_USER_ACTION=ignore
export SYSTEMD_OFFLINE=1 # there is no systemd to talk to yet
sudo() { "$@"; }
dnf() { :; } # Debian's packages of the same names are in the first layer
cd /mnt
. ./install.sh
systemctl enable mailbanned
