"""`quarantine` and `doctor` against a moto account."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from forensics.errors import UnreachableError
from forensics.store.sqlite import SqliteStore
from tests.forensics.cli.conftest import Run
from tests.forensics.cli.stored import StoreFile
from tests.forensics.moto_account import ENVIRONMENT, MotoAccount, reset_moto

pytestmark = pytest.mark.slow


@pytest.fixture
def account_run(run: Run, moto: MotoAccount, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run` with the moto account in its environment."""
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": moto.url}.items():
        monkeypatch.setenv(name, value)
    return run


def test_dry_run_prints_the_plan_and_changes_nothing(
    account_run: Run, moto: MotoAccount, tmp_path: Path
) -> None:
    """A line a step, where it happens, and last the command that does it; every call if asked."""
    instance = moto.build_group(size=3).instance_ids[0]

    evidence = tmp_path / "papers"
    text = account_run("quarantine", instance, "--dry-run", "--evidence", evidence)
    verbose = account_run("quarantine", instance, "--dry-run", "--verbose")
    document = account_run("quarantine", instance, "--dry-run", "--json")

    assert (0, 0) == (text.code, document.code)
    assert "ec2:CreateSnapshots" in verbose.out
    assert "ec2:CreateSnapshots" not in text.out
    assert len(text.out.splitlines()) < 30
    steps = [line for line in text.out.splitlines() if re.match(r" ?\d+\. ", line)]
    assert len(document.json["steps"]) == len(steps)
    assert all(line.endswith(("(reversible)", "(can't be undone)")) for line in steps)
    assert "  - owner: Auto Scaling group" in text.out
    assert f"evidence in {evidence}" in text.out
    assert (
        f"forensics --evidence {evidence} quarantine {instance} --confirm {instance}"
        == (text.out.splitlines()[-1])
    )
    assert f"account {moto.account.identity().account_id}, region eu-west-1" in text.out
    assert document.json["schema"].startswith("afterimage.quarantine-plan/")
    assert instance in moto.members()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("confirm", "why"),
    [((), "there is no terminal"), (("--confirm", "i-0another"), "is not its id")],
)
def test_without_the_id_typed_again_nothing_is_done(
    account_run: Run, moto: MotoAccount, tmp_path: Path, confirm: tuple[str, ...], why: str
) -> None:
    """No terminal to ask on, or another id: refused, with the words that would confirm."""
    instance = moto.build_group(size=3).instance_ids[0]

    answer = account_run("quarantine", instance, *confirm, "--json")

    assert 8 == answer.code
    assert why in answer.json["error"]["why"]
    assert f"--confirm {instance}" in answer.json["error"]["next_step"]
    assert instance in moto.members()
    assert not (tmp_path / "evidence").exists()


@pytest.mark.slow
def test_a_confirmed_run_completes_and_a_second_changes_nothing(
    account_run: Run, moto: MotoAccount, store: Path
) -> None:
    """Steps on stderr, the result on stdout; again: the same case, nothing to do."""
    instance = moto.build_group(size=3).instance_ids[0]
    words = ("quarantine", instance, "--confirm", instance, "--accept-outage", "--wait-snapshots")

    first = account_run(*words, "--json")
    second = account_run(*words)

    assert first.code in {0, 5}, first.err
    assert "[1/" in first.err
    assert f"next: forensics show {instance}" in first.err
    assert first.json["snapshot_ids"]
    assert {0: "complete", 5: "degraded"}[first.code] == first.json["outcome"]
    assert first.json["case_id"] in second.out
    assert "Nothing changed" in second.out
    assert first.code == second.code
    shown = account_run("show", instance, "--json").json
    assert first.json["case_id"] == shown["quarantine"]["case_id"]
    assert first.json["outcome"] == shown["quarantine"]["outcome"]


@pytest.mark.slow
def test_below_the_floor_it_is_refused(account_run: Run, moto: MotoAccount) -> None:
    """The last healthy instance is not taken away unasked."""
    instance = moto.build_group(size=1).instance_ids[0]

    answer = account_run("quarantine", instance, "--confirm", instance)
    lower = account_run("quarantine", instance, "--dry-run", "--floor", "0")

    assert 0 == lower.code, lower.err
    assert "--floor 0" in lower.out
    assert 8 == answer.code
    assert "--accept-outage" in answer.err


@pytest.mark.slow
def test_a_store_that_is_down_does_not_block_containment(
    account_run: Run, moto: MotoAccount, tmp_path: Path
) -> None:
    """The store only hears of it; without it the quarantine goes on, and says so."""
    instance = moto.build_group(size=3).instance_ids[0]

    answer = account_run(
        "quarantine",
        instance,
        *("--confirm", instance, "--accept-outage", "--json"),
        *("--store", tmp_path / "none.sqlite"),
    )

    assert answer.code in {0, 5}
    assert "the store will not hear of this quarantine" in answer.err


def test_an_instance_that_ec2_does_not_know_is_exit_7(account_run: Run, moto: MotoAccount) -> None:
    """There is nothing to set aside."""
    answer = account_run("quarantine", "i-0123456789abcdef0", "--dry-run", "--store", "some.sqlite")

    assert 7 == answer.code
    assert "forensics --store some.sqlite show i-0123456789abcdef0" in answer.err


def test_doctor_names_caller_store_and_sources(
    account_run: Run, moto: MotoAccount, store: Path
) -> None:
    """Who, where, which store, from which flag or variable; exit 0 where all that is set works."""
    answer = account_run("doctor", "--store", store, "--json")

    checks = {check["name"]: check for check in answer.json["checks"]}
    assert (0, True) == (answer.code, answer.json["ok"]), json.dumps(answer.json, indent=1)
    assert "eu-west-1" in checks["account"]["says"]
    assert "(not AWS)" in checks["account"]["says"]
    assert "from --store" in checks["setting store"]["says"]
    assert "from AWS_REGION" in checks["setting region"]["says"]
    assert "ok" == checks["clock"]["status"]


def test_doctor_fails_only_on_what_is_configured(run: Run, tmp_path: Path) -> None:
    """Nothing set is warnings and exit 0; a store that is not there is exit 1, with a next step."""
    bare = run("doctor")
    broken = run("doctor", "--store", tmp_path / "none.sqlite", "--json")

    assert 0 == bare.code
    assert re.search(r"warn  setting region +not set, and no AWS configuration", bare.out)
    assert (1, False) == (broken.code, broken.json["ok"])
    failed = [check for check in broken.json["checks"] if check["status"] == "fail"]
    assert ["store"] == [check["name"] for check in failed]
    assert failed[0]["next_step"]


def test_doctor_sees_an_evidence_folder_that_can_not_be_written(run: Run, tmp_path: Path) -> None:
    """A folder under a file can never be made."""
    file = tmp_path / "file"
    file.touch()

    answer = run("doctor", "--evidence", file / "evidence", "--json")

    checks = {check["name"]: check["status"] for check in answer.json["checks"]}
    assert "fail" == checks["evidence"]
    assert 1 == answer.code


@pytest.mark.slow
def test_an_unreachable_store_leaves_instances_and_show_to_the_account(
    account_run: Run, moto: MotoAccount
) -> None:
    """Both go on with a warning; what only the store can answer stays an error."""
    instance = moto.build_group(size=1).instance_ids[0]
    dead = ("--store", "http://127.0.0.1:9")

    listed = account_run("instances", *dead, "--json")
    shown = account_run("show", instance, *dead)

    assert (0, 0) == (listed.code, shown.code), shown.err
    assert [instance] == [row["instance_id"] for row in listed.json["instances"]]
    assert "the store was not asked" in listed.err
    assert "the store was not asked" in shown.err
    assert "No store was asked: whether anything is missing" in shown.out
    for words in (("logs", instance), ("raw", instance, "--list"), ("raw", instance, "/x")):
        assert 3 == account_run(*words, *dead).code


@pytest.mark.slow
def test_a_report_names_the_account_that_was_asked(
    account_run: Run, moto: MotoAccount, tmp_path: Path
) -> None:
    """Account id, region, caller and the endpoint that is not AWS, so that one can ask again."""
    instance = moto.build_group(size=1).instance_ids[0]

    answer = account_run("report", instance, "-o", tmp_path, "--format", "md")

    text = Path(answer.out.strip()).read_text().replace("\\", "")  # Markdown's escapes
    caller = moto.account.identity()
    for word in (caller.account_id, "eu-west-1", "(not AWS)"):
        assert word in text
    assert "none asked" in text, "no store was"
    assert 1 == text.count("none asked")


@pytest.mark.slow
def test_the_store_remembers_a_quarantined_instance_that_ec2_forgot(
    account_run: Run, moto: MotoAccount, tmp_path: Path
) -> None:
    """When it was launched is EC2's own knowledge; after the quarantine the store has it too."""
    instance = moto.build_group(size=3).instance_ids[0]
    file = StoreFile(tmp_path / "logs.sqlite")
    file.close()
    words = ("--store", file.path, "--json")
    confirmed = ("--confirm", instance, "--accept-outage")

    answer = account_run("quarantine", instance, *confirmed, *words)
    known = account_run("instances", *words).json["instances"]
    reset_moto(moto.url)
    remembered = account_run("instances", *words).json["instances"]

    assert answer.code in {0, 5}, answer.err
    launched = {row["instance_id"]: row["launched_at"] for row in known}[instance]
    assert launched
    assert [(instance, launched)] == [
        (row["instance_id"], row["launched_at"]) for row in remembered
    ]


@pytest.mark.slow
def test_without_its_papers_a_sealed_case_is_told_by_the_store(
    run: Run, account_run: Run, moto: MotoAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another evidence folder and no account: outcome and snapshots from the lifecycle, and why."""
    instance = moto.build_group(size=3).instance_ids[0]
    file = StoreFile(tmp_path / "logs.sqlite")
    file.close()
    done = account_run(
        *("quarantine", instance, "--confirm", instance, "--accept-outage"),
        *("--store", file.path, "--json"),
    ).json
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    words = ("--store", file.path, "--evidence", tmp_path / "other")

    shown = run("show", instance, *words)
    document = run("show", instance, *words, "--json").json
    report = run("report", instance, *words, "-o", tmp_path)
    again = run("report", instance, *words, "-o", tmp_path)

    lack = f"evidence folder {tmp_path / 'other'} does not have case {done['case_id']}"
    assert f"warning: {lack}: give --evidence" in shown.err
    assert done["outcome"] == document["quarantine"]["outcome"]
    assert set(done["snapshot_ids"]) == {row["snapshot_id"] for row in document["snapshots"]}
    assert "not finished" not in shown.out
    assert lack in report.err
    for path in map(Path, report.out.split()):
        text = path.read_text().replace("\\", "")
        assert f"Not known: {lack}" in text
        assert all(snapshot in text for snapshot in done["snapshot_ids"])
    assert "replaced" not in report.err
    assert 2 == again.err.count("replaced the older")


@pytest.mark.slow
def test_an_instance_that_shipped_nothing_is_told_from_an_unknown_one(
    account_run: Run, moto: MotoAccount, tmp_path: Path
) -> None:
    """AWS knows it and the store does not: exit 7 says both, and `show` offers what works."""
    instance = moto.build_group(size=1).instance_ids[0]
    file = StoreFile(tmp_path / "logs.sqlite")
    file.close()
    store = ("--store", file.path)

    for words in (("logs", instance), ("raw", instance, "--list")):
        answer = account_run(*words, *store)
        assert 7 == answer.code
        assert f"no log stored of {instance}: AWS knows it as running" in answer.err
    commands = account_run("show", instance, *store, "--json").json["next"]
    assert not [command for command in commands if " logs " in command or " raw " in command]
    unknown = account_run("show", "i-0123456789abcdef0", *store)
    assert "the store and AWS do not mention it (1 known)" in unknown.err


@pytest.mark.slow
def test_a_store_that_dies_during_a_quarantine_is_a_warning(
    account_run: Run, moto: MotoAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The instance is set aside; what the store did not keep is said, and is no failure."""

    async def refuse(*_: object) -> int:
        raise UnreachableError("the store does not answer", why="the test says so")

    monkeypatch.setattr(SqliteStore, "put_lifecycle", refuse)
    instance = moto.build_group(size=3).instance_ids[0]
    file = StoreFile(tmp_path / "logs.sqlite")
    file.close()

    answer = account_run(
        *("quarantine", instance, "--confirm", instance, "--accept-outage"),
        *("--store", file.path, "--json"),
    )

    assert answer.code in {0, 5}, answer.err
    assert "did not keep what AWS says: the store does not answer: the test says so" in answer.err
    assert answer.json["snapshot_ids"]
