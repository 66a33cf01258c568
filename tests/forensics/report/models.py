"""A report model with something in every section, and the texts that try to break out of it."""

from __future__ import annotations

from typing import Final

from forensics.findings.finding import Confidence, Finding, Reference
from forensics.ledger.model import InstanceRow, InstanceState, SnapshotRow
from forensics.report.model import (
    BarRow,
    CustodyRow,
    EvidenceRow,
    HoleRow,
    JournalRow,
    LastWords,
    PathRow,
    PeerRow,
    ReportModel,
    Scope,
    TimelineRow,
    Verdict,
)

INSTANCE: Final = "i-0123456789abcdef0"

HOSTILE: Final = (
    "[/red] [bold]x[/bold] [/",
    "\x1b[2J\x1b]0;owned\x07 \x1b]52;c;AAAA\x07",
    "</pre><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "javascript:alert(1) https://evil.example/ www.evil.example",
    "![x](http://evil.example/x.png)",
    "```\n# heading\n````` tail",
    "~~~ | a | b |\n|---|---|",
    "{{ 7*7 }} {% raw %} ${x} \\| \\",
    "a\r\nb\x00c\x9b31m\u202egpj.exe\u200b\ufeff",
    '" onmouseover="alert(1)" x=\'',
    "<!-- --> ]]> &lt;script&gt; <svg/onload=alert(1)>",
    "\ud800 lone surrogate",
    "x" * 1_000_000,
)


def at(second: int) -> str:
    """A 30-character time."""
    return f"2026-01-03T14:{second // 60:02d}:{second % 60:02d}.000000000Z"


def build_model(text: str = "worker died: MemoryError", *, missing: bool = True) -> ReportModel:
    """A model that has `text` in every place where text of others may stand."""
    return ReportModel(
        case_id=text[:100],
        scope=Scope(
            generated_at=at(3000),
            tool_version="0.1.0",
            store=text,
            account=text,
            since=at(0),
            until=at(900),
            records_looked_at=2000,
            records=12345,
        ),
        instance=InstanceRow(
            instance_id=INSTANCE,
            state=InstanceState.TERMINATED,
            state_reason=text,
            image_id="ami-0123456789abcdef0",
            group=text,
            instance_type="t3.micro",
            availability_zone="eu-west-1a",
            last_sign_at=at(890),
            last_word=text,
            sources=(text,),
        ),
        findings=(
            Finding(
                name="memory_exhausted",
                title="Memory ran out",
                statement=f"A program could not get memory: {text}",
                confidence=Confidence.LIKELY,
                weight=95,
                evidence=(Reference(id=text, at=at(880), where=text, quote=text),),
            ),
        ),
        completeness=(
            PathRow(
                path=text,
                files=2,
                sources=("abcdef0123456789-1", text),
                stored_bytes=5_000_000,
                verdict=Verdict.MISSING if missing else Verdict.COMPLETE,
                holes=(HoleRow(source=text, start=10, end=110, reason=text),) if missing else (),
            ),
        ),
        timeline=(
            TimelineRow(at=at(1), origin=text, action="launched", text=text, simulated=True),
            TimelineRow(at=at(880), origin=text, action="error", text=text, id="a-1-0-10-00000000"),
            TimelineRow(at=at(900), origin="ec2", action=text, text=text),
        ),
        timeline_left_out=11_000,
        histogram=tuple(BarRow(start=at(60 * n), count=n * n, errors=n // 4) for n in range(15)),
        last_words=(
            LastWords(
                path=text,
                lines=(
                    TimelineRow(at=at(880), origin=text, action="error", text=text, id=text),
                    TimelineRow(at=at(881), origin=text, action=text, text=text, id=text),
                ),
            ),
        ),
        quarantine="degraded",
        quarantine_reasons=(text,),
        snapshots=(
            SnapshotRow(
                snapshot_id="snap-1", volume_id=text, state=text, started_at=at(910), size_gib=8
            ),
        ),
        evidence=(EvidenceRow(id=text, kind=text, size=text, digest=text, at=at(1), note=text),),
        custody=(
            CustodyRow(
                n=1, at=at(1), who=text, action=text, subject=text, detail=text, digest="ab" * 32
            ),
        ),
        journal=(JournalRow(at=at(1), step=text, what=text, outcome="failure", detail=text),),
        peers=(
            PeerRow(
                instance_id="i-1",
                state="running",
                launched_at=at(0),
                last_sign_at="",
                availability_zone=text,
            ),
        ),
        limits=(text, "The page cache died with the machine."),
        warnings=(text,),
        aws_says={"Health": text},
    )
