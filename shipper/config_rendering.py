"""The configuration's table of keys as texts: the file that an image gets, and docs/config.md.

In: `shipper.config_keys`. Out: TOML that the parser takes, and Markdown; the same each time.
It must never tell of a key that the parser doesn't know, so it has no text of its own per key.
"""

from __future__ import annotations

import textwrap
from typing import Final

from shipper import default_paths
from shipper.config_keys import TABLES, Key, keys_of

_DEFAULT_HEAD: Final = """\
# Afterimage shipper. Every key, with its default or an example; a line without # is in force.
# `shipper check -c shipper.toml` tells what is wrong, with line numbers.
"""

_COLUMNS: Final = 100

_REFERENCE_HEAD: Final = f"""\
# Configuration of the shipper

Generated from `shipper/config_keys.py`; a test compares the two.

One TOML file, by default `{default_paths.CONFIG_FILE}`. It is read once: a changed file counts
from the next start on. Unknown keys are refused. `shipper check -c shipper.toml` prints every
problem with its line, and warns of what it can see on this machine.
"""

EXAMPLE: Final = """\
[[sources.tail]]
paths = ["/var/log/**/*.log", "/var/log/syslog", "/var/log/messages"]

[[sources.tail]]
paths = ["/srv/shop/log/*.log"]
multiline = "java"

[[sources.tail]]
paths = ["/var/lib/docker/containers/*/*-json.log"]
format = "docker"
multiline = "python"

[[sources.forward]]
listen = "unix:///run/afterimage/forward.sock"

[[sources.forward]]
listen = "tcp://0.0.0.0:24224"
shared_key_file = "/etc/afterimage/forward.key"

[sources.journald]

[[transforms.mask]]
builtin = ["aws-access-key", "bearer-token"]
patterns = ['password=(\\S+)']

[[transforms.drop]]
reason = "health checks"
pattern = 'GET /healthz '
paths = ["/var/log/nginx/*.log"]

[[transforms.rate]]
reason = "debug flood"
records_per_second = 1000

[metrics]
listen = "unix:///run/afterimage/metrics.sock"

[output.opensearch]
urls = ["https://centre-a.example:9200", "https://centre-b.example:9200"]
username_file = "/etc/afterimage/user"
password_file = "/etc/afterimage/password"
ca_file = "/etc/afterimage/ca.pem"
"""


def render_default_config() -> str:
    """The file that an image gets: every key with its meaning, and its default commented out.

    Tables that are off by default are commented out whole.
    """
    parts = [_DEFAULT_HEAD]
    for name, table in TABLES.items():
        is_on = table.form == "always" or name == "sources.tail"
        header = table.header(name) if is_on else f"# {table.header(name)}"
        parts.append(f"\n{_comment(table.meaning)}{header}\n")
        parts += [_render_key(key, is_on=is_on) for key in keys_of(name)]
    return "".join(parts)


def _render_key(key: Key, *, is_on: bool) -> str:
    comment = _comment(key.meaning, indent="#   ")
    if key.default is None:
        must = "#   Must be given.\n" if is_on else ""
        return f"{comment}{must}# {key.example}\n"
    mark = "" if key.kind == "patterns" and is_on else "# "
    return f"{comment}{mark}{key.example or f'{key.name} = {_toml(key.default)}'}\n"


def _comment(text: str, *, indent: str = "# ") -> str:
    lines = textwrap.wrap(
        text.replace("`", ""),
        _COLUMNS,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "".join(f"{line}\n" for line in lines)


def _toml(value: str | float | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{text}"' for text in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def render_reference() -> str:
    """docs/config.md."""
    parts = [_REFERENCE_HEAD]
    for name, table in TABLES.items():
        parts.append(f"\n## `{table.header(name)}`\n\n{table.meaning}\n\n")
        if table.form == "switch":
            parts.append("Off unless the table stands there, be it empty.\n\n")
        parts.append("| key | type | default | meaning |\n| --- | --- | --- | --- |\n")
        parts += [_render_row(key) for key in keys_of(name)]
    parts.append(f"\n## All inputs in one file\n\n```toml\n{EXAMPLE}```\n")
    return "".join(parts)


def _render_row(key: Key) -> str:
    cells = (f"`{key.name}`", _render_kind(key), _render_default(key), key.meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _render_kind(key: Key) -> str:
    choices = ", ".join(f"`{choice}`" for choice in key.choices)
    return {
        "id": "string, at most 128 characters, no white space",
        "text": "string",
        "label": "string, 1 to 64 characters",
        "region": "string",
        "choice": f"one of {choices}",
        "path": "absolute path",
        "regex": "regular expression",
        "listen": "address",
        "integer": f"whole number, {key.least} to {key.most}",
        "seconds": f"seconds, {key.least:g} to {key.most:g}",
        "patterns": "list of absolute glob patterns",
        "sources": "list of patterns or names",
        "regexes": "list of regular expressions",
        "names": f"list of {choices}",
        "urls": "list of URLs",
    }[key.kind]


def _render_default(key: Key) -> str:
    if key.default is None:
        return f"none: must be given, e.g. `{key.example}`"
    if isinstance(key.default, tuple):
        return ", ".join(f"`{text}`" for text in key.default) or "not used"
    if key.default == "":
        return "from IMDSv2" if key.table == "identity" else "not used"
    return f"`{key.default}`"
