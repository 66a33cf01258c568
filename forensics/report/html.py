"""A report as one HTML file: no script, no network, readable on paper and in the dark.

In: the model. Out: text, the same for the same model. The template escapes every value
(autoescape), after `safe_text` has made it harmless (`finalize`); the page's own policy forbids
scripts and any request, should both ever fail. Nothing a log says becomes a link.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from forensics.moments import render_utc
from forensics.report.chart import BARS_HEIGHT, WIDTH, build_chart
from forensics.report.model import BLANKS, ReportModel
from forensics.report.words import (
    instance_facts,
    render_ask_again,
    render_bytes,
    render_completeness,
    render_headline,
    render_no_papers,
    render_quarantine,
    render_snapshots,
    render_source,
)
from forensics.safe_text import safe_lines, safe_text

LINE_LIMIT: Final = 2_000
"""Characters of one value; what is cut is counted, and the id leads to the rest."""

RECORD_LIMIT: Final = 8_000
"""Characters of a record that is quoted with all its lines."""
_LEGEND_LIMIT: Final = 110


def render_html(model: ReportModel) -> str:
    """The whole report."""
    events = [row for row in model.timeline if row.is_event]
    return _template().render(
        model=model,
        cause=model.cause,
        headline=render_headline(model),
        completeness=render_completeness(model),
        quarantine=render_quarantine(model),
        snapshots=render_snapshots(model),
        ask_again=render_ask_again(model),
        no_papers=render_no_papers(model),
        facts=[*instance_facts(model.instance), *model.aws_says.items()],
        chart=build_chart(model.histogram, events),
        chart_width=WIDTH,
        bars_height=BARS_HEIGHT,
        blanks=BLANKS,
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        time=render_utc,
        bytes=render_bytes,
        source=render_source,
        number=_number,
        shorten=_shorten,
        quote=_quote,
    )
    text = resources.files("forensics.report").joinpath("report.html.jinja").read_text("utf-8")
    return environment.from_string(text)


def _finalize(value: object) -> object:
    """What the template prints: its own markup as it is, every other value made harmless."""
    return value if isinstance(value, Markup) else safe_text(str(value), LINE_LIMIT)


def _quote(text: str) -> Markup:
    """A record in a `<pre>`, further lines of it set in; each made harmless, then escaped."""
    lines = safe_lines(text, RECORD_LIMIT)
    return Markup("\n    ").join(lines)


def _number(value: int) -> str:
    return f"{value:,}"


def _shorten(text: str) -> str:
    """For a legend; the timeline has all of it."""
    return f"{text[:_LEGEND_LIMIT]}…" if len(text) > _LEGEND_LIMIT else text
