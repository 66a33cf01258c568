"""The JSON shapes of the CLI: what a script may rely on, one function per shape.

Pure: values in, dictionaries out. A key that is here stays: tests/contract/test_cli_surface.py
holds the list.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from forensics.findings.finding import Finding
from forensics.ledger.model import InstanceRow, LifecycleEvent, SnapshotRow
from forensics.report.model import PathRow, ReportModel
from forensics.report.words import (
    render_completeness,
    render_headline,
    render_quarantine,
    render_source,
)
from forensics.store.protocol import Document

INSTANCES_SCHEMA = "afterimage.instances/1"
SHOW_SCHEMA = "afterimage.show/1"
RECORD_SCHEMA = "afterimage.record/1"
EVENT_SCHEMA = "afterimage.event/1"

_ROW_KEYS = (
    *("instance_id", "state", "state_reason", "image_id", "group", "instance_type", "region"),
    *("availability_zone", "account_id", "private_ip", "launched_at", "ended_at", "first_seen_at"),
    *("last_sign_at", "last_word_at", "last_word", "records", "closed", "case_id"),
)


def instance_document(row: InstanceRow) -> dict[str, Any]:
    """A row of the ledger."""
    return {
        **{key: getattr(row, key) for key in _ROW_KEYS},
        "snapshots": [snapshot_document(snapshot) for snapshot in row.snapshots],
        "sources": list(row.sources),
    }


def snapshot_document(snapshot: SnapshotRow) -> dict[str, Any]:
    """A snapshot of one of its volumes."""
    return {
        "snapshot_id": snapshot.snapshot_id,
        "volume_id": snapshot.volume_id,
        "state": snapshot.state,
        "started_at": snapshot.started_at,
        "size_gib": snapshot.size_gib,
        "case_id": snapshot.case_id,
    }


def finding_document(finding: Finding) -> dict[str, Any]:
    """A finding with its evidence."""
    return {
        "name": finding.name,
        "title": finding.title,
        "statement": finding.statement,
        "confidence": str(finding.confidence),
        "evidence": [
            {"_id": ref.id, "at": ref.at, "where": ref.where, "quote": ref.quote}
            for ref in finding.evidence
        ],
    }


def source_document(row: PathRow) -> dict[str, Any]:
    """One source's completeness."""
    return {
        "path": row.path,
        "kind": row.kind,
        "files": row.files,
        "sources": list(row.sources),
        "verdict": str(row.verdict),
        "stored_bytes": row.stored_bytes,
        "missing_bytes": row.missing_bytes,
        "dropped_bytes": row.dropped_bytes,
        "masked_bytes": row.masked_bytes,
        "masked_records": row.masked_records,
        "holes": [asdict(hole) for hole in row.holes],
        "dropped": [asdict(drop) for drop in row.dropped],
        "journal": asdict(row.journal) if row.journal else None,
        "problem": row.problem,
        "statement": render_source(row),
    }


def show_document(model: ReportModel, next_commands: list[str]) -> dict[str, Any]:
    """The answer of `show`."""
    return {
        "instance": instance_document(model.instance),
        "answer": render_headline(model),
        "cause": finding_document(model.cause) if model.cause else None,
        "findings": [finding_document(finding) for finding in model.findings],
        "completeness": {
            "statement": render_completeness(model),
            "stored_bytes": model.stored_bytes,
            "missing_bytes": model.missing_bytes,
            "dropped_bytes": model.dropped_bytes,
            "sources": [source_document(row) for row in model.completeness],
        },
        "quarantine": {
            "case_id": model.case_id,
            "outcome": model.quarantine,
            "statement": render_quarantine(model),
            "reasons": list(model.quarantine_reasons),
        },
        "snapshots": [snapshot_document(snapshot) for snapshot in model.snapshots],
        "aws": dict(model.aws_says),
        "peers": [{"instance_id": peer.instance_id, "state": peer.state} for peer in model.peers],
        "warnings": list(model.warnings),
        "next": next_commands,
    }


def record_document(document: Document) -> dict[str, Any]:
    """A stored document as `logs --jsonl` prints it: `_id`, `_index` and the fields."""
    return {
        "schema": RECORD_SCHEMA,
        "_id": document.id,
        "_index": document.index,
        **document.fields,
    }


def event_document(event: LifecycleEvent, event_id: str) -> dict[str, Any]:
    """A lifecycle event as `logs --timeline --jsonl` prints it, under the records' field names."""
    return {
        "schema": EVENT_SCHEMA,
        "_id": event_id,
        "@timestamp": event.at,
        "event.action": event.action,
        "event.outcome": event.outcome,
        "event.provider": event.origin,
        "message": event.message,
        "cloud.instance.id": event.instance_id,
        "afterimage.case": event.case_id,
        "afterimage.simulated": event.simulated,
    }
