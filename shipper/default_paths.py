"""Where things are on a machine unless its configuration says otherwise.

In: nothing. Out: texts, not `Path`s: `shipper --help` imports this, and pathlib would slow it. It
must never look at the machine.
"""

from __future__ import annotations

from typing import Final

CONFIG_FILE: Final = "/etc/afterimage/shipper.toml"
STATE_DIRECTORY: Final = "/var/lib/afterimage"
LOGS: Final = ("/var/log/**/*.log", "/var/log/syslog", "/var/log/messages")
