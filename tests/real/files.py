"""The files of a lab's bus and firewalld."""

from __future__ import annotations

import shutil
from pathlib import Path

_ZONE_FILE = """<?xml version="1.0" encoding="utf-8"?>
<zone><short>Lab</short><interface name="{interface}"/>
<port protocol="tcp" port="1-65535"/></zone>
"""
_BUS_FILE = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_type="*"/><allow receive_type="*"/><allow own="*"/></policy>
</busconfig>
"""


def write_files(folder: Path, zone: str, interface: str) -> None:
    """The configurations of a bus and of a firewalld with a zone that lets all TCP in."""
    zones = folder / "etc" / "zones"
    zones.mkdir(parents=True)
    shutil.copy("/etc/firewalld/firewalld.conf", folder / "etc")
    (zones / f"{zone}.xml").write_text(_ZONE_FILE.format(interface=interface))
    (folder / "bus.conf").write_text(_BUS_FILE.format(path=folder / "bus"))
