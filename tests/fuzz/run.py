"""Runs one target under atheris for some seconds: `python -m tests.fuzz.run NAME --seconds 20`.

In: a target's name, and the corpus. Out: exit 0, or a crash whose input is left in the folder given
by `--keep`. It needs the extra `[fuzz]`; the corpus is not written to.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

CORPUS = Path(__file__).parent / "corpus"
_LONGEST_BYTES = 4096


def main() -> None:
    """Fuzz; does not return: libFuzzer ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--keep", type=Path, default=None, help="where a crash's input goes")
    options = parser.parse_args()
    with atheris.instrument_imports(include=["shipper"]):
        from tests.fuzz.targets import TARGETS

    target = TARGETS[options.target]
    keep = options.keep or Path(tempfile.mkdtemp(prefix="afterimage-fuzz-"))
    arguments = [
        sys.argv[0],
        f"-max_total_time={options.seconds}",
        f"-max_len={_LONGEST_BYTES}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={keep}/",
        "-print_final_stats=1",
        tempfile.mkdtemp(prefix="afterimage-found-"),
        str(CORPUS / options.target),
    ]
    atheris.Setup(arguments, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
