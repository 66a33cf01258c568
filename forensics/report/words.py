"""The sentences both renderings print: headline, completeness, sizes, times.

Pure: model in, plain text out (not yet escaped for any sink). One place, so that Markdown and HTML
say the same.
"""

from __future__ import annotations

from forensics.ledger.model import InstanceRow
from forensics.report.model import HoleRow, ReportModel, SourceRow, Verdict

UNKNOWN = "not known"


def render_time(at: str) -> str:
    """A wire time for a person: milliseconds, UTC; `not known` where empty."""
    return f"{at[:23]}Z" if at else UNKNOWN


def render_bytes(count: int) -> str:
    """A size: exact below a MiB, exact and rounded above."""
    if count < 1 << 20:
        return f"{count:,} bytes"
    for unit, shift in (("GiB", 30), ("MiB", 20)):
        if count >= 1 << shift:
            return f"{count:,} bytes ({count / (1 << shift):.1f} {unit})"
    return f"{count:,} bytes"


def render_headline(model: ReportModel) -> str:
    """What happened, in one sentence."""
    cause = model.cause
    if cause is None:
        return "Nothing stored speaks of a failure."
    return f"{cause.title} ({cause.confidence}). {cause.statement}"


def render_completeness(model: ReportModel) -> str:
    """Is anything missing, in one sentence."""
    sources = len(model.completeness)
    if not sources:
        return "No log of this instance is stored."
    if model.missing_bytes:
        worst = [row for row in model.completeness if row.verdict is Verdict.MISSING]
        return (
            f"{render_bytes(model.missing_bytes)} are missing from {len(worst)} of "
            f"{sources} {_files(sources)}; {render_bytes(model.stored_bytes)} are stored."
        )
    if model.open_sources:
        return (
            f"No hole in the {render_bytes(model.stored_bytes)} of {sources} {_files(sources)}; "
            f"{model.open_sources} not closed: what was written after the last stored byte is "
            "unknown."
        )
    return f"Complete: all {render_bytes(model.stored_bytes)} of {sources} {_files(sources)}."


def render_source(row: SourceRow) -> str:
    """One source's completeness."""
    if row.verdict is Verdict.COMPLETE:
        return f"complete to byte {row.end:,}"
    if row.verdict is Verdict.OPEN:
        return f"no hole up to byte {row.end:,}; not closed"
    return f"{row.missing_bytes:,} bytes missing: " + "; ".join(map(render_hole, row.holes))


def render_hole(hole: HoleRow) -> str:
    """A hole: its bytes, and why."""
    reason = f" ({hole.reason})" if hole.reason else ""
    return f"[{hole.start:,}, {hole.end:,}){reason}"


def instance_facts(row: InstanceRow) -> list[tuple[str, str]]:
    """The instance card: name and value, known or not."""
    return [
        ("Instance", row.instance_id),
        ("State", f"{row.state}: {row.state_reason}" if row.state_reason else str(row.state)),
        ("Image", row.image_id or UNKNOWN),
        ("Group", row.group or UNKNOWN),
        ("Type", row.instance_type or UNKNOWN),
        ("Account", row.account_id or UNKNOWN),
        ("Region, zone", ", ".join(filter(None, (row.region, row.availability_zone))) or UNKNOWN),
        ("Private address", row.private_ip or UNKNOWN),
        ("Launched", render_time(row.launched_at)),
        ("Ended", render_time(row.ended_at)),
        ("First sign", render_time(row.first_seen_at)),
        ("Last sign", render_time(row.last_sign_at)),
        ("Said goodbye", "yes" if row.closed else "no"),
        ("Known from", ", ".join(row.sources) or UNKNOWN),
    ]


def _files(count: int) -> str:
    return "file" if count == 1 else "files"
