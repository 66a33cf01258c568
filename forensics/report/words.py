"""The sentences both renderings print: headline, completeness, sizes.

Pure: model in, plain text out (not yet escaped for any sink). One place, so that Markdown and HTML
say the same.
"""

from __future__ import annotations

import shlex
from typing import Final

from forensics.findings.finding import Finding
from forensics.ledger.model import InstanceRow
from forensics.moments import UNKNOWN, render_utc
from forensics.proof.declared import SPOOLED
from forensics.report.model import (
    DropRow,
    HoleRow,
    JournalEntries,
    PathRow,
    ReportModel,
    Verdict,
)


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
    if model.cause is None and not model.scope.store:
        return "No store was asked, and nothing that AWS says speaks of a failure."
    return render_cause(model.cause)


def render_cause(cause: Finding | None) -> str:
    """The heaviest finding in one sentence, also before there is a whole report."""
    if cause is None:
        return "Nothing stored speaks of a failure."
    return f"{cause.title} ({cause.confidence}). {cause.statement}"


_JOURNAL: Final = (
    "A journal is judged by its entries' numbers, not by bytes: what journald never numbered, and "
    "what it cut, nobody can miss."
)


def render_completeness(model: ReportModel) -> str:
    """Is anything missing, in one sentence."""
    count = len(model.completeness)
    stored = f"{render_bytes(model.stored_bytes)} of {count} {_files(count)}"
    if not count:
        return _render_nothing(model)
    if any(row.verdict is Verdict.ALTERED for row in model.completeness):
        broken = sum(row.verdict is Verdict.ALTERED for row in model.completeness)
        return f"Stored records of {broken} of {count} {_files(count)} were altered."
    if model.broken_sources:
        return (
            f"{render_missing(model.missing_bytes)} missing from {model.broken_sources} of "
            f"{count} {_files(count)}; {render_bytes(model.stored_bytes)} are stored."
            f"{_render_left_out(model)}"
        )
    if model.open_sources:
        return (
            f"Nothing known is missing: {stored} are stored. No goodbye came: what was written "
            f"after the last stored byte is unknown.{_render_left_out(model)}"
        )
    but = (
        f", but for {render_records(model.dropped_records)} that rules dropped"
        if model.dropped_records
        else ""
    )
    if model.numbered_sources == count:
        return f"No number is missing: {stored} are stored{but}. {_JOURNAL}"
    journal = f" {_JOURNAL}" if model.numbered_sources else ""
    return f"Complete: all {stored}{but}.{journal}"


def _render_left_out(model: ReportModel) -> str:
    if not model.dropped_records:
        return ""
    return f" Rules dropped {render_records(model.dropped_records)}, as declared."


def _render_nothing(model: ReportModel) -> str:
    """Why there is no file to judge; never that nothing is stored where nobody looked."""
    if not model.scope.store:
        return "No store was asked: whether anything is missing can't be judged."
    if model.scope.records:
        return (
            f"{model.scope.records:,} records are stored, but no shipper of ours says what there "
            "was: completeness can't be judged."
        )
    return "No log of this instance is stored."


def render_quarantine(model: ReportModel) -> str:
    """How the quarantine came out; never `none` or `not finished` where its papers lack."""
    if not model.case_id:
        return model.quarantine or "none"
    if model.quarantine:
        return model.quarantine
    return f"not known ({model.quarantine_unread})" if model.quarantine_unread else "not finished"


def render_snapshots(model: ReportModel) -> str:
    """How many snapshots there are; never 0 where those who know were not heard."""
    if model.snapshots or not model.quarantine_unread:
        return str(len(model.snapshots))
    return f"not known ({model.quarantine_unread})"


def render_no_papers(model: ReportModel) -> str:
    """What stands in a table of the case's papers that is empty."""
    return f"Not known: {model.quarantine_unread}." if model.quarantine_unread else "None."


def render_ask_again(model: ReportModel) -> str:
    """The command that asks the same again, of the same store."""
    store = f" --store {shlex.quote(model.scope.store)}" if model.scope.store else ""
    return f"forensics{store} show {shlex.quote(model.instance.instance_id)}"


def render_missing(count: int) -> str:
    """`100 bytes are`, or `An unknown number of bytes is` where nobody knows how many."""
    return f"{render_bytes(count)} are" if count else "An unknown number of bytes is"


def render_source(row: PathRow) -> str:
    """One path's completeness."""
    if row.verdict is Verdict.ALTERED:
        return f"altered: {row.problem}"
    said = [_render_claim(row), *map(render_drop, row.dropped)]
    if row.masked_records:
        said.append(render_masked(row.masked_records, row.masked_bytes))
    return "; ".join(said)


def _render_claim(row: PathRow) -> str:
    holes = "; ".join(map(render_hole, row.holes))
    if row.journal is not None:
        entries = render_entries(row.journal)
        if row.verdict is Verdict.MISSING:
            return f"{entries}; not there: {holes}. A number that is not there need be no loss"
        return f"{entries}{'; not closed' if row.verdict is Verdict.OPEN else ''}"
    if row.verdict is Verdict.MISSING:
        return f"{render_missing(row.missing_bytes)} missing: {holes}"
    parts = "spool segments" if row.kind in SPOOLED else "files, rotated"
    pieces = f" in {row.files} {parts}" if row.files > 1 else ""
    if row.verdict is Verdict.OPEN:
        return f"no hole up to byte {row.stored_bytes + row.dropped_bytes:,}{pieces}; not closed"
    if row.dropped:
        return (
            f"complete but for what rules dropped: {row.stored_bytes:,} bytes are stored"
            f"{pieces}, {row.dropped_bytes:,} dropped"
        )
    return f"complete to byte {row.stored_bytes:,}{pieces}"


def render_entries(journal: JournalEntries) -> str:
    """A journal's entries: a weaker claim than a file's, since it counts numbers, not bytes."""
    if not journal.count:
        return "no entry is stored"
    entries = "1 entry" if journal.count == 1 else f"{journal.count:,} entries"
    return f"{entries}, numbers {journal.first:,} to {journal.last:,}"


def render_records(count: int) -> str:
    """`1 record`, `2 records`."""
    return f"{count:,} {'record' if count == 1 else 'records'}"


def render_drop(drop: DropRow) -> str:
    """What one rule left out: declared, so no hole."""
    size = f", {render_bytes(drop.size_bytes)}" if drop.size_bytes else ""
    places = f" in {drop.places:,} places" if drop.places > 1 else ""
    return f"dropped by rule: {render_records(drop.records)}{size}{places} ({drop.reason})"


def render_masked(records: int, size_bytes: int) -> str:
    """What masks overwrote."""
    return f"masked before shipping: {render_bytes(size_bytes)} in {render_records(records)}"


def render_hole(hole: HoleRow) -> str:
    """A hole: its bytes, of which source, and why."""
    where = f" of {hole.source}" if hole.source else ""
    if hole.unit == "entries":
        span = f"numbers {hole.start:,} to {hole.end - 1:,}"
        span = span if hole.end > hole.start else f"at number {hole.start:,}"
    else:
        span = f"[{hole.start:,}, {hole.end:,})" if hole.end > hole.start else f"at {hole.start:,}"
    return f"{span}{where} ({hole.reason})" if hole.reason else f"{span}{where}"


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
        ("Launched", render_utc(row.launched_at)),
        ("Ended", render_utc(row.ended_at)),
        ("First sign", render_utc(row.first_seen_at)),
        ("Last sign", render_utc(row.last_sign_at)),
        ("Said goodbye", "yes" if row.closed else "no"),
        ("Known from", ", ".join(row.sources) or UNKNOWN),
    ]


def _files(count: int) -> str:
    return "file" if count == 1 else "files"
