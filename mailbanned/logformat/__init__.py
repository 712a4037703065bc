"""How log lines are written: messages out of bytes, headers off lines, time stamps. No I/O."""
