"""Runs quarantines in processes of their own, and kills them with SIGKILL at a chosen AWS request.

In: one JSON order per line on standard input. Out: one JSON line for each, when its process ended.
boto3 is imported once, here; each order is a fork. AWS_ENDPOINT_URL leads to the account.

An order: {"instance_id", "evidence", "mode", "keep_running", "kill_at": n-th changing request or 0,
"when": "before" | "after"}. Several orders in a list run at the same time.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import botocore.client

from forensics.aws.account import connect
from forensics.aws.actions import OPERATIONS
from forensics.evidence.folder import FolderEvidence
from forensics.quarantine.facts import fetch_facts
from forensics.quarantine.model import Mode
from forensics.quarantine.plan import plan_quarantine
from forensics.quarantine.result import Limits
from forensics.quarantine.run import run_quarantine

_READS = ("Describe", "GetCallerIdentity")
_LIMITS = Limits(backoff_seconds=0.05, poll_seconds=0.05, visible_seconds=1)


def main() -> None:
    """Carry out orders until standard input ends."""
    account: Any = connect()
    for operation in OPERATIONS.values():
        account._calls._client(operation)  # made, not connected: sockets must not be shared
    print("ready", flush=True)  # noqa: T201 - the protocol with the test
    for line in sys.stdin:
        orders = json.loads(line)
        running = [_start(order, account) for order in orders]
        print(json.dumps([_wait(pid, answer) for pid, answer in running]), flush=True)  # noqa: T201 - the protocol with the test


def _start(order: dict[str, Any], account: Any) -> tuple[int, int]:
    answer, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(answer)
        status = 1
        try:
            os.write(write, json.dumps(_carry_out(order, account)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    return pid, answer


def _wait(pid: int, answer: int) -> dict[str, Any]:
    with os.fdopen(answer, "rb") as file:
        data = file.read()
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return {"killed": killed, "result": json.loads(data) if data else {}}


def _carry_out(order: dict[str, Any], account: Any) -> dict[str, Any]:
    requests: list[tuple[str, Any]] = []
    client_class: Any = botocore.client.BaseClient
    ask = client_class._make_api_call

    def ask_or_die(client: Any, operation: str, parameters: Any) -> Any:
        if operation.startswith(_READS):
            return ask(client, operation, parameters)
        requests.append((operation, parameters))
        is_here = len(requests) == order["kill_at"]
        if is_here and order["when"] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return ask(client, operation, parameters)
        finally:
            if is_here:
                os.kill(os.getpid(), signal.SIGKILL)

    client_class._make_api_call = ask_or_die
    plan = plan_quarantine(
        fetch_facts(account, order["instance_id"]),
        mode=Mode(order["mode"]),
        keep_running=order["keep_running"],
        accept_outage=True,
    )
    evidence = FolderEvidence(Path(order["evidence"]))
    result = asyncio.run(run_quarantine(plan, account, evidence, limits=_LIMITS))
    return {"result": dict(result.to_json()), "requests": requests}


if __name__ == "__main__":
    main()
