"""Settings: who wins, and that each value knows where it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from forensics.config import Settings
from forensics.errors import UsageError


def test_a_flag_beats_the_environment_and_the_environment_beats_the_default() -> None:
    """Precedence is flags > environment > defaults, for each value by itself."""
    settings = Settings.resolve(
        environ={"AFTERIMAGE_STORE": "/env.sqlite", "AWS_REGION": "eu-west-1"},
        store="/flag.sqlite",
    )

    assert "/flag.sqlite" == settings.store
    assert "eu-west-1" == settings.region
    assert settings.profile is None
    assert {
        "store": "--store",
        "evidence": "default",
        "profile": "default",
        "region": "AWS_REGION",
    } == settings.sources


def test_aws_region_wins_over_aws_default_region() -> None:
    """The two variables that boto3 programs know are read in one order."""
    both = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}

    assert "eu-west-1" == Settings.resolve(environ=both).region
    assert "us-east-1" == Settings.resolve(environ={"AWS_DEFAULT_REGION": "us-east-1"}).region


def test_evidence_has_a_default_folder_and_nothing_is_made() -> None:
    """Reading settings touches no disk."""
    settings = Settings.resolve(environ={"XDG_DATA_HOME": "/nowhere"})

    assert "evidence" == settings.evidence.name
    assert "afterimage" == settings.evidence.parent.name


@pytest.mark.parametrize("flag", ["store", "evidence", "profile", "region"])
def test_an_empty_flag_is_refused_by_name(flag: str) -> None:
    """`--store ''` (an unset shell variable) is an error that names the flag."""
    with pytest.raises(UsageError, match=f"--{flag} is empty"):
        Settings.resolve(environ={}, **{flag: "  "})


def test_an_empty_variable_counts_as_unset() -> None:
    """`AFTERIMAGE_STORE= forensics …` is the shell's way to unset it."""
    assert Settings.resolve(environ={"AFTERIMAGE_STORE": ""}).store is None


def test_evidence_must_be_a_folder(tmp_path: Path) -> None:
    """A file, or a bucket's URL, is refused before any command starts to work."""
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(UsageError, match="that is a file"):
        Settings.resolve(environ={}, evidence=str(file))
    with pytest.raises(UsageError, match="AFTERIMAGE_EVIDENCE is 's3://bucket'"):
        Settings.resolve(environ={"AFTERIMAGE_EVIDENCE": "s3://bucket"})


def test_a_password_in_the_store_url_is_never_shown() -> None:
    """Neither `store_shown` nor the repr carries a secret."""
    settings = Settings.resolve(environ={}, store="https://reader:hunter2@centre.example:9200")

    assert "https://reader:…@centre.example:9200" == settings.store_shown
    assert "hunter2" not in repr(settings)


def test_a_command_that_needs_a_store_says_how_to_give_one() -> None:
    """Without a store the error names the flag and the variable."""
    with pytest.raises(UsageError) as caught:
        Settings.resolve(environ={}).require_store()

    assert "AFTERIMAGE_STORE" in caught.value.next_step
    assert "--store" in caught.value.next_step


def test_settings_are_values() -> None:
    """Two equal resolutions are equal."""
    assert Settings.resolve(environ={}) == Settings.resolve(environ={})
