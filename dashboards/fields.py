"""The fields of docs/fields.md as a value, and what is built of them: index templates and the page.

In: fields.toml. Out: index-templates/*.json and docs/fields.md, written by `python -m
dashboards.fields` and compared by the tests. It must never hold a field's name: those stand in the
table alone.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

FAMILIES: Final = ("logs", "vitals", "lifecycle")

TEMPLATE_PRIORITY: Final = 200
"""Above the catch-all templates that many clusters have at 0 to 100."""

KEYWORD_LIMIT_CHARACTERS: Final = 8191
"""Longer values are stored and not searchable. Lucene refuses a term over 32,766 bytes, and a
character takes up to four: without this limit one long path would cost a record."""

_WORDS: Final = "afterimage_words"
_JOINERS: Final = "afterimage_joiners"
# Punctuation inside of which the standard tokenizer sees one word, or that it takes for a word of
# its own (Unicode's word break classes): "connection_timeout" is to be found by "timeout".
_JOINER_CHARACTERS: Final = (
    "',.:;_\u00b7\u037e\u0387\u055b\u055c\u055e\u055f\u0589\u05f3\u05f4\u060c\u060d\u066b"
    "\u066c\u07f8\u1aa0\u1aa1\u1aa2\u1aa3\u1aa4\u1aa5\u1aa6\u1aa8\u1aa9\u1aaa\u1aab\u1aac"
    "\u1aad\u2018\u2019\u2024\u2027\u202f\u203c\u203f\u2040\u2044\u2049\u2054\u3030\u303d"
    "\u30a0\uaade\uaadf\ufe10\ufe13\ufe14\ufe33\ufe34\ufe4d\ufe4e\ufe4f\ufe50\ufe52\ufe54"
    "\ufe55\uff07\uff0c\uff0e\uff1a\uff1b\uff3f"
)
_ANALYSIS: Final[Mapping[str, Any]] = {
    "char_filter": {
        _JOINERS: {
            "type": "mapping",
            "mappings": [f"\\u{ord(mark):04x} => \\u0020" for mark in _JOINER_CHARACTERS],
        }
    },
    "analyzer": {
        _WORDS: {
            "type": "custom",
            "char_filter": [_JOINERS],
            "tokenizer": "standard",
            "filter": ["lowercase"],
        }
    },
}

_TYPE_PARAMETERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "keyword": {"ignore_above": KEYWORD_LIMIT_CHARACTERS},
    "match_only_text": {"analyzer": _WORDS},
    "object": {"enabled": False},
}
_STORED_ONLY: Final[Mapping[str, Any]] = {"index": False, "doc_values": False}
"""Of any length, since no term is made of it; shown with its document, and never searched."""
_MEANINGS: Final = {
    "logs": "Log lines, one index a day (UTC) of the source's row: `afterimage-logs-YYYY.MM.DD`.",
    "vitals": "What a stream says of itself, one index a month: `afterimage-vitals-YYYY.MM`.",
    "lifecycle": "What AWS and the quarantine did, one index a month: "
    "`afterimage-lifecycle-YYYY.MM`.",
}
_HEADER: Final = """\
# Fields

Generated from `dashboards/fields.toml` by `python -m dashboards.fields`; don't edit it here.

Names are those of the Elastic Common Schema, or `afterimage.…`. Documents are flat: a name with
dots is one member. A field that is not listed here is stored with its document and not searchable:
it never costs a record and never grows a mapping. Text longer than 8,191 characters in a keyword
field is stored and not searchable. What a source does not know is not there.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One row of the table."""

    name: str
    type: str
    families: tuple[str, ...]
    meaning: str
    indexed: bool = True
    """Whether it can be searched; a keyword that is not may be of any length."""

    @property
    def mapping(self) -> Mapping[str, Any]:
        """Its type and parameters in an index."""
        more = _TYPE_PARAMETERS.get(self.type, {}) if self.indexed else _STORED_ONLY
        return {"type": self.type, **more}

    @property
    def shown_type(self) -> str:
        """Its type for a reader."""
        return self.type if self.indexed else f"{self.type}, not searchable"


def load_fields() -> tuple[Field, ...]:
    """The table, in its order."""
    text = (resources.files("dashboards") / "fields.toml").read_text(encoding="utf-8")
    return tuple(
        Field(
            name=name,
            type=row["type"],
            families=tuple(row["in"]),
            meaning=row["meaning"],
            indexed=row.get("indexed", True),
        )
        for name, row in tomllib.loads(text).items()
    )


def build_template(family: str, fields: tuple[Field, ...]) -> dict[str, Any]:
    """The body of `PUT _index_template/afterimage-<family>`."""
    settings: dict[str, Any] = {
        "index.number_of_replicas": 1,
        "index.codec": "best_compression",
        "index.mapping.ignore_malformed": True,
        "index.analysis": _ANALYSIS,
    }
    if family != "lifecycle":
        settings["index.append_only.enabled"] = True
    return {
        "index_patterns": [f"afterimage-{family}-*"],
        "priority": TEMPLATE_PRIORITY,
        "template": {
            "settings": settings,
            "mappings": {
                "dynamic": False,
                "properties": {
                    field.name: field.mapping for field in fields if family in field.families
                },
            },
        },
        "_meta": {"description": _MEANINGS[family], "managed_by": "afterimage"},
    }


def load_template(family: str) -> dict[str, Any]:
    """The template as it ships."""
    path = resources.files("dashboards") / "index-templates" / f"{family}.json"
    template: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return template


def render_template(template: Mapping[str, Any]) -> str:
    """The template's file, one line a field."""
    return json.dumps(template, indent=2, ensure_ascii=False) + "\n"


def render_page(fields: tuple[Field, ...]) -> str:
    """docs/fields.md."""
    parts = [_HEADER]
    for family in FAMILIES:
        parts.append(f"\n## {family}\n\n{_MEANINGS[family]}\n\n| field | type | meaning |\n")
        parts.append("| --- | --- | --- |\n")
        parts += [
            f"| `{field.name}` | {field.shown_type} | {field.meaning} |\n"
            for field in fields
            if family in field.families
        ]
    return "".join(parts)


def main() -> None:
    """Write the templates and the page."""
    root = Path(__file__).resolve().parent
    fields = load_fields()
    for family in FAMILIES:
        path = root / "index-templates" / f"{family}.json"
        path.write_text(render_template(build_template(family, fields)), encoding="utf-8")
    (root.parent / "docs" / "fields.md").write_text(render_page(fields), encoding="utf-8")


if __name__ == "__main__":
    main()
