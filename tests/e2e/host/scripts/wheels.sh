# The third layer: the Python packages that mailbanned needs, in /mnt, for pip without a network.
cp -R /mnt /srv/wheels
