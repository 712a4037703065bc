"""Runs asyncio code in a simulated order of events: a seed is a run, on every machine the same.

scheduler.py   an event loop without time and threads; what happens next is decided by a driver
simulation.py  what every simulation has: moves from a seed, a run that they drive, an outcome
shrink.py      the shortest list of moves that still fails
campaign.py    many runs on all cores; __main__.py is their command line
simulations.py the simulations by name

The file source:
moves.py       what may happen to it and its logs
filesystem.py  the calls into the file system: others act between them; inodes, refusals
content.py     which lines were written to which file, and which of them must be read
files.py, names.py  the real files, and how rotated ones are named
logs.py, world.py   what loggers, logrotate and administrators do to logs, in single steps
driver.py      one run of the file source in that world, and the judgement

The journal source:
readings.py    what may happen to it, and the scenario that a seed makes
journals.py    a journal, its records and files
programs.py    journalctl as a program, and the host that starts it
surroundings.py  all of these, and what happens to them
handed.py      what was handed on, saved and forgotten
reading.py     one run of the sources in front of them, and the judgement

The enforcer:
firewalls.py   a firewall and the kernel's interim bans, which do as they like
enforcing.py   one run of the enforcer in front of them, and the judgement

The account cache:
asking.py      a database that does as it likes, one run of the cache, and the judgement
"""
