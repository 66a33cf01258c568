"""Both renderings: the same bytes each time, the answer first, and nothing a log says escapes."""

from __future__ import annotations

import dataclasses
import itertools
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.report.html import render_html
from forensics.report.markdown import render_markdown
from forensics.report.model import BLANKS, ReportModel
from forensics.safe_text import markdown_text
from tests.forensics.report.models import HOSTILE, INSTANCE, build_model

UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
PAGE_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "section", "div", "nav"),
    *("h1", "h2", "h3", "p", "span", "strong", "code", "pre", "a", "ol", "ul", "li", "dl", "dt"),
    *("dd", "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary"),
    *("svg", "g", "rect", "line", "circle", "text"),
}


class Page(HTMLParser):
    """Collects what a browser would see: tags, attributes, text outside of style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in {"meta", "rect", "line", "circle"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that closes itself."""
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """An element ends: it must be the one that was opened last."""
        if tag != "rect":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text, of the page or of its style."""
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        """All visible text."""
        return " ".join("".join(self.words).split())


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_text_in_html(text: str) -> None:
    """No element, attribute, link or control character comes out of a log's text."""
    html = render_html(build_model(text))

    page = Page(html)
    assert PAGE_TAGS >= set(page.tags)
    assert "script" not in page.tags
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name == "src"]
    links = [value for _, name, value in page.attributes if name in {"href", "action"}]
    assert all(link.startswith("#") for link in links)
    assert UNSAFE.search(html) is None
    assert [] == page.open


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_text_in_markdown(text: str) -> None:
    """No table cell, fence, heading, link or control character comes out of a log's text."""
    markdown = render_markdown(build_model(text))

    plain = render_markdown(build_model("plain"))
    assert UNSAFE.search(markdown) is None
    assert _shape(plain) == _shape(markdown)
    outside = "\n".join(_outside_fences(markdown))
    assert re.search(r"(?<!\\)<", outside) is None
    assert re.search(r"(?<!\\)\]\s*(?<!\\)\(", outside) is None
    assert re.search(r"https?:/", outside) is None


def test_a_line_of_a_megabyte_is_cut_with_a_count() -> None:
    """Neither rendering grows with one line; both say how much is not shown."""
    model = build_model("x" * 1_000_000)

    html, markdown = render_html(model), render_markdown(model)
    assert len(html) < 200_000
    assert len(markdown) < 100_000
    assert "… (+998,000 characters)" in html
    assert "+999,000 characters" in markdown.replace("\\", "")


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_the_same_model_gives_the_same_bytes(render: object) -> None:
    """A rendering has no clock, no random, no order of its own."""
    assert callable(render)
    assert render(build_model()).encode() == render(build_model()).encode()


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=60))
def test_no_text_changes_the_shape_of_either_rendering(text: str) -> None:
    """Whatever a log holds: the same tags, the same table rows, the same headings."""
    hostile, plain = build_model(f"x{text}"), build_model("x")

    assert Page(render_html(plain)).tags == Page(render_html(hostile)).tags
    assert _shape(render_markdown(plain)) == _shape(render_markdown(hostile))


def test_the_page_forbids_scripts_and_requests() -> None:
    """Its policy stands before anything else can load, and the page names no address."""
    html = render_html(build_model("plain"))

    assert (
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:\">"
    ) in html
    assert html.index("Content-Security-Policy") < html.index("<style>")
    assert re.search(r"(?:https?:)?//[a-z]", html) is None


def test_the_first_words_answer_what_happened_and_whether_anything_is_missing() -> None:
    """Before any table stand the cause with its quote, and the holes by their bytes."""
    text = Page(render_html(build_model("worker died: MemoryError"))).text
    markdown = render_markdown(build_model("worker died"))

    assert text.index("What happened Memory ran out") < text.index("Is anything missing Yes: 100")
    assert text.index("worker died: MemoryError") < text.index("Is anything missing")
    assert text.index("[10, 110)") < text.index("Findings")
    assert markdown.index("What happened") < markdown.index("Is anything missing") < 900


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_every_fact_of_the_model_is_in_each_rendering(render: object) -> None:
    """A section that a rendering forgets fails here: each leaf text of the model is unique."""
    model = build_model("plain")
    named = dataclasses.replace(
        model,
        peers=(dataclasses.replace(model.peers[0], instance_id="peerleaf"),),
        journal=(dataclasses.replace(model.journal[0], step="stepleaf", detail="detailleaf"),),
        custody=(dataclasses.replace(model.custody[0], who="wholeaf", detail="custodyleaf"),),
        evidence=(dataclasses.replace(model.evidence[0], digest="digestleaf", note="noteleaf"),),
        snapshots=(dataclasses.replace(model.snapshots[0], snapshot_id="snapleaf"),),
        limits=("limitleaf",),
        warnings=("warningleaf",),
        aws_says={"factleaf": "valueleaf"},
        scope=dataclasses.replace(model.scope, store="storeleaf", account="accountleaf"),
    )

    assert callable(render)
    text = render(named)
    leaves = (
        "peerleaf stepleaf detailleaf wholeaf custodyleaf digestleaf noteleaf snapleaf limitleaf "
        "warningleaf factleaf valueleaf storeleaf accountleaf"
    )
    assert [] == [leaf for leaf in leaves.split() if leaf not in text]
    assert INSTANCE in text.replace("\\", "")
    assert [] == [title for title, _ in BLANKS if title not in text]


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_an_instance_of_which_nothing_is_known_has_a_report_too(render: object) -> None:
    """Empty sections say so; nothing is left blank or made up."""
    full = build_model("plain")
    empty = ReportModel(
        case_id="",
        scope=dataclasses.replace(full.scope, records=0),
        instance=dataclasses.replace(full.instance, group="", image_id=""),
        findings=(),
        completeness=(),
        timeline=(),
        timeline_left_out=0,
        histogram=(),
        last_words=(),
    )

    assert callable(render)
    text = render(empty)
    assert "No log of this instance is stored" in text.replace("\\", "")
    assert "othing stored speaks of a failure" in text
    assert "None" in text


def test_the_page_can_be_read_without_seeing_it() -> None:
    """Language, headings in order, column headers with scope, and words for the picture."""
    page = Page(render_html(build_model("plain")))

    levels = [int(tag[1]) for tag in page.tags if re.fullmatch(r"h\d", tag)]
    assert 1 == levels.count(1)
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert ("html", "lang", "en") in page.attributes
    assert page.tags.count("th") == [
        value for tag, name, value in page.attributes if (tag, name) == ("th", "scope")
    ].count("col")
    label = (
        "Records over time: 1,015, of them 21 errors, and 2 events; the list below the picture "
        "and the timeline table hold the same facts."
    )
    assert ("svg", "aria-label", label) in page.attributes


def _outside_fences(markdown: str) -> list[str]:
    lines: list[str] = []
    fence = ""
    for line in markdown.split("\n"):
        if fence:
            fence = "" if line == fence else fence
        elif match := re.fullmatch(r"(`{3,})text", line):
            fence = match[1]
        else:
            lines.append(line)
    assert fence == ""
    return lines


def _shape(markdown: str) -> list[str]:
    """What a Markdown reader sees as structure: headings, rows with their cells, lists, quotes."""
    shape = []
    for line in _outside_fences(markdown):
        cells = len(re.findall(r"(?<!\\)(?:\\\\)*\|", line))
        head = re.match(r"#+ |- |> |\||\*|\d+\. |\s{4}|$", line)
        shape.append(f"{head[0] if head else 'text'}{cells}")
    return shape


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25T14:05:12.221Z",
        "i-0123456789abcdef0",
        "abcdef0123456789-1-120-12-00c0ffee",
        "/var/log/app.log",
        "forensics --store /srv/logs.sqlite show i-0123456789abcdef0",
    ],
)
def test_what_one_copies_out_of_markdown_is_not_escaped(text: str) -> None:
    """Times, ids, paths and commands come through as they are."""
    assert text == markdown_text(text)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("1. x", "1\\. x"),
        ("12) x", "12\\) x"),
        ("- x", "\\- x"),
        ("--- x", "\\--- x"),
        ("# x", "\\# x"),
        ("[a](b)", "\\[a\\]\\(b)"),
        ("https://x.example", "https\\://x.example"),
    ],
)
def test_what_would_act_is_escaped_where_it_acts(text: str, escaped: str) -> None:
    """Lists, rules and headings at the start, links and addresses anywhere."""
    assert escaped == markdown_text(text)
