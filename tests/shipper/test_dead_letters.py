"""`dead-letters list` shows what the centre refused, however damaged the file is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from shipper.dead_letter_file import DeadLetterFile, LetterCount
from shipper.dead_letters import load_dead_letters, read_letter, render_json, render_text
from shipper.errors import StateError
from shipper.wire.state import DeadLetter, format_dead_letter

LETTER = DeadLetter(
    at="2026-01-03T14:05:12.000000000Z",
    reason="mapper_parsing_exception: \x1b[31mred\nline",
    index="afterimage-logs-2026.01.03",
    id="0123456789abcdef-0-0-6-00000000",
    item=b"{}\n{}\n",
)


def test_no_file_is_the_good_case(tmp_path: Path) -> None:
    """A shipper that never had a dead letter lists none."""
    assert ([], []) == load_dead_letters(tmp_path)


def test_torn_lines_are_counted_and_passed_over(tmp_path: Path) -> None:
    """The letters around a damaged line are all there; the damaged ones are named by number."""
    good = format_dead_letter(LETTER)
    (tmp_path / "dead-letters.jsonl").write_bytes(
        good + b'{"at": 3}\n' + good + b"\xff\n" + b"[" * 20_000 + b"\n" + good[:20]
    )
    assert ([LETTER, LETTER], [2, 4, 5, 6]) == load_dead_letters(tmp_path)


def test_a_letter_is_one_safe_line() -> None:
    """A reason comes from a server: its control characters and line ends are shown, not obeyed."""
    assert (
        "2026-01-03T14:05:12.000000000Z  afterimage-logs-2026.01.03  "
        "0123456789abcdef-0-0-6-00000000  6 bytes  "
        r"mapper_parsing_exception: \x1b[31mred\nline"
        "\n"
    ) == render_text([LETTER])


def test_a_letter_shows_its_file_and_its_first_words(tmp_path: Path) -> None:
    """What was refused can be told apart without its item; no control character of it is obeyed."""
    document = {"message": f"took=\x1b[31m{'x' * 100}", "log.file.path": "/srv/a\x07.log"}
    letter = replace(LETTER, item=b"{}\n%b\n" % json.dumps(document).encode())
    words = rf"took=\x1b[31m{'x' * 70}"
    line = render_text([letter])
    assert "  /srv/a\\x07.log  " in line
    assert line.endswith(f"  {words}\n")
    (one,) = json.loads(render_json(tmp_path, [letter], []))["dead_letters"]
    assert ("/srv/a\\x07.log", words) == (one["path"], one["message"])


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b'{"afterimage.raw": "/2hpCg==", "log.file.path": "/a.log"}', r"\xffhi"),
        (b'{"afterimage.raw": 3}', ""),
        (b'{"message": 7}', "7"),
        (b"[]", ""),
        (b"[" * 20_000, ""),
        (b"\xff", ""),
    ],
)
def test_an_item_of_any_shape_is_listed(document: bytes, words: str) -> None:
    """Raw bytes are shown as words; what can't be read shows none."""
    assert words == read_letter(replace(LETTER, item=b"{}\n%b\n" % document)).message


def test_json_names_the_file(tmp_path: Path) -> None:
    """Scripts get schema, version, every letter and where the items are."""
    document = json.loads(render_json(tmp_path, [LETTER], [4]))
    assert ("afterimage.shipper.dead-letters", 1) == (document["schema"], document["version"])
    assert str(tmp_path / "dead-letters.jsonl") == document["file"]
    assert [6] == [one["item_bytes"] for one in document["dead_letters"]]
    assert [4] == document["unreadable_lines"]


def test_a_file_that_can_not_be_read_is_an_error(tmp_path: Path) -> None:
    """What the system refuses is a StateError, never an empty list."""
    (tmp_path / "dead-letters.jsonl").mkdir()
    with pytest.raises(StateError, match="can't be read"):
        load_dead_letters(tmp_path)


def test_letters_are_counted_as_they_come_and_go(tmp_path: Path) -> None:
    """Appended ones are added, a rewritten file is counted anew, and none is no file."""
    count, file = LetterCount(tmp_path), DeadLetterFile(tmp_path)
    assert 0 == count.read()
    file.append([LETTER, LETTER])
    assert 2 == count.read()
    file.append([LETTER])
    assert 3 == count.read() == count.read()
    file.settle([LETTER], {})
    assert 0 == count.read()
    file.append([LETTER])
    file.path.unlink()
    assert 0 == count.read()
