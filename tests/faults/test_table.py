"""docs/faults.md: a row for every scenario, a column for every shipper; ours is run again."""

from __future__ import annotations

import re

import pytest

from shipper import __version__
from tests.faults.oracle import Account
from tests.faults.peers import PEERS
from tests.faults.table import OURS, PAGE, SCENARIOS, Scenario, render_cell, render_page, run_cell

NAMES = [OURS, *(peer.name for peer in PEERS)]


def read_rows() -> list[list[str]]:
    """The cells of the page's table, head and rule left out."""
    table = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_the_page_has_every_scenario_and_every_shipper() -> None:
    """A scenario that was added, or a configuration that was changed, wants the page made anew."""
    accounts = [Account() for _ in NAMES]
    rows = [(scenario, 0, accounts) for scenario in SCENARIOS]
    wanted = render_page(rows, dict.fromkeys(NAMES, "?")).splitlines()
    found = PAGE.read_text(encoding="utf-8").splitlines()

    def form(lines: list[str]) -> list[str]:
        rows = [line.split("|")[1] for line in lines if line[:1] == "|"]
        return rows + [line for line in lines if line[:1] not in {"|", "-"}]

    assert form(wanted) == form(found)


def test_every_cell_of_the_page_is_three_counts_or_left_out() -> None:
    """A shipper that was not there is a dash; a number that is not zero stands out."""
    cell = re.compile(r"–|0 / 0 / 0|\*\*[\d,]+ / [\d,]+ / [\d,]+\*\*")
    rows = read_rows()
    assert len(SCENARIOS) == len(rows)
    assert all(cell.fullmatch(text) for row in rows for text in row[2:])


def test_the_page_names_the_version_of_every_shipper() -> None:
    """Ours is this one: a page of an older version wants to be made anew. It has no date."""
    page = PAGE.read_text(encoding="utf-8")
    assert f"- {OURS}: {__version__}\n" in page
    assert all(re.search(rf"^- {name}: \S", page, re.MULTILINE) for name in NAMES)
    assert re.search(r"\b20\d\d-\d\d-\d\d\b", page) is None


def test_ours_is_nought_in_every_row_of_the_page() -> None:
    """The promise, as published."""
    assert {"0 / 0 / 0"} == {row[2] for row in read_rows()}


def test_a_cell_counts_each_kind() -> None:
    """Thousands have commas; what is not nought is bold."""
    account = Account(lost=["x"] * 1234, repeated=["y"])
    assert "**1,234 / 1 / 0**" == render_cell(account)
    assert "–" == render_cell(None)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=[one.title for one in SCENARIOS])
def test_ours_loses_repeats_and_alters_nothing_in_a_scenario(scenario: Scenario) -> None:
    """What the page says of ours is run again with every build."""
    account = run_cell(scenario, None)
    assert [] == account.faults
