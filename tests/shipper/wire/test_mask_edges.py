"""Secrets across the cut of a long line: neither half is left."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.config import MaskConfig
from shipper.wire.framing import RECORD_LIMIT_BYTES, frame
from shipper.wire.masks import Masker
from shipper.wire.rules import make_transform
from shipper.wire.secret_kinds import BUILTIN
from shipper.wire.transforms import Transform

ALL = Masker(builtin=tuple(BUILTIN))
# (what stands before a secret, the secret, what stands behind it)
SECRETS = {
    "aws-access-key": (b"key ", b"AKIAIOSFODNN7EXAMPLE", b" used"),
    "aws-secret-key": (b"secret_access_key=", b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", b" x"),
    "bearer-token": (b"Authorization: Bearer ", b"mF_9.B5f-4.1JqMaaaa", b" x"),
    "jwt": (b"token ", b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN-_8", b" end"),
    "private-key": (b"-----BEGIN RSA PRIVATE KEY-----", b"MIIEowIBAAKCAQEA", b"-----END RSA"),
    "github-token": (b"clone with ", b"ghp_" + b"a1B2" * 9, b" x"),
    "gitlab-token": (b"CI ", b"glpat-" + b"x1_-" * 5, b"! x"),
    "slack-token": (b"post ", b"xoxb-123456789012-abcdefABCDEF", b" x"),
    "google-api-key": (b"maps?key=", b"AIza" + b"Sy_-1" * 7, b"&q=x"),
    "stripe-key": (b"charge with ", b"sk_live_" + b"4eC39HqL" * 3, b" x"),
    "url-credentials": (b"to postgres://app:", b"s3cr3t!", b"@db.example/shop"),
    "password": (b"login user=a password=", b"hunter2hunter2", b"&next=/"),
}


def mask_slices(masker: Masker, pieces: list[bytes]) -> list[bytes]:
    """Each piece masked as a slice of the line that they are together."""
    return [
        masker.mask(piece, before=b"".join(pieces[:at]), is_cut=not piece.endswith(b"\n"))[0]
        for at, piece in enumerate(pieces)
    ]


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_a_secret_across_a_cut_is_overwritten_on_both_sides(name: str) -> None:
    """Wherever the cut is; the name before a secret, and what is behind it, is left."""
    before, secret, behind = SECRETS[name]
    masker = Masker(builtin=[name])
    line = b"x " * 40 + before + secret + behind + b"\n"
    at = line.index(secret)
    expected = line.replace(secret, b"*" * len(secret))
    shown = len(secret) - len(secret.lstrip(b"AKIghpoxb_eyJlatzskiv-")) if name != "password" else 0
    for cut in range(at - len(before), at + len(secret) + len(behind)):
        masked = b"".join(mask_slices(masker, [line[:cut], line[cut:]]))
        assert len(line) == len(masked)
        # a cut within the letters that all secrets of a kind begin with leaves those letters
        kept = max(0, min(cut - at, shown))
        assert expected[at + kept : at + len(secret)] == masked[at + kept : at + len(secret)], cut
        assert expected[: at - len(before)] == masked[: at - len(before)]


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_a_secret_in_three_pieces_is_overwritten_in_each(name: str) -> None:
    """A program that writes byte by byte, and rests between, has a short middle piece."""
    before, secret, behind = SECRETS[name]
    line = before + secret + behind + b"\n"
    at = line.index(secret) + max(5, len(secret) - 10)
    if secret == b"s3cr3t!":
        at = line.index(secret) + 2
    masked = b"".join(
        mask_slices(Masker(builtin=[name]), [line[:at], line[at : at + 3], line[at + 3 :]])
    )
    assert b"***" == masked[at : at + 3]
    assert secret[5:] not in masked


@pytest.mark.parametrize("cut", range(3, 22))
def test_a_configured_secret_across_a_cut_is_overwritten(cut: int) -> None:
    """What comes behind a cut is not known: what may be a match's beginning is hidden."""
    line = b"of 1234567890123456; paid 17\n"
    masker = Masker(patterns=[r"\b\d{16}\b"])
    masked = b"".join(mask_slices(masker, [line[:cut], line[cut:]]))
    assert b"of ****************; paid 17\n" == masked


def test_what_can_not_be_a_secret_is_left_at_a_cut() -> None:
    """A mask destroys: a cut alone is no reason to."""
    pieces = [b"x" * 5000 + b" plain words, 12 of them, a_b-x", b"d/e and more\n"]
    masker = Masker(builtin=tuple(BUILTIN), patterns=[r"card \d{4} \d{4}"])
    assert pieces == mask_slices(masker, pieces)


def rules(**mask: tuple[str, ...]) -> Transform:
    """The rules of one mask."""
    found = make_transform([MaskConfig(**mask)], [], [], "/a.log")
    assert found is not None
    return found


def test_a_token_over_the_slice_of_a_long_line_is_masked_and_told() -> None:
    """In one chunk, and where the slices are read apart: the same bytes, the same records."""
    token = b"ghp_" + b"A" * 36
    line = b"x" * (RECORD_LIMIT_BYTES - 20) + b" " + token + b" " + b"y" * 1000 + b"\n"
    first, second, after = frame(line + b"after\n")
    together = rules(builtin=("github-token",)).apply([first, second, after], 0, 0.0)
    assert b"AAA" not in b"".join(together.records)
    assert {0: [(RECORD_LIMIT_BYTES - 19, 19)], 1: [(0, 21)]} == together.masked
    assert [len(first), len(second), len(after)] == list(map(len, together.records))
    apart = rules(builtin=("github-token",))
    assert together.records[0] == apart.apply([first], 0, 0.0).records[0]
    later = apart.apply([second, after], len(first), 0.0, first[-32768:])
    assert together.records[1:] == later.records


@given(
    names=st.lists(st.sampled_from(sorted(SECRETS)), min_size=1, max_size=3),
    cuts=st.lists(st.integers(0, 200), max_size=4),
)
def test_slices_keep_their_lengths_and_are_masked_once(names: list[str], cuts: list[int]) -> None:
    """No cut moves a byte; what is masked needs no second look."""
    line = b" ".join(b"".join(SECRETS[name]) for name in names) + b"\n"
    places = sorted({0, *(min(cut, len(line)) for cut in cuts), len(line)})
    pieces = [line[start:end] for start, end in pairwise(places)]
    masked = mask_slices(ALL, pieces)
    assert list(map(len, pieces)) == list(map(len, masked))
    for at, piece in enumerate(masked):
        before, is_cut = b"".join(pieces[:at]), not piece.endswith(b"\n")
        assert (piece, []) == ALL.mask(piece, before=before, is_cut=is_cut)
