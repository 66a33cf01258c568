"""The HTML report as a browser takes it: hostile lines stay text, and no script of theirs runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from forensics.report.html import render_html
from tests.forensics.report.models import INSTANCE, build_model

ATTACKS = (
    "<script>document.title='PWNED'</script>",
    "</pre></code><img src=x onerror=\"document.title='PWNED'\">",
    "<svg onload=\"document.title='PWNED'\">",
    "javascript:document.title='PWNED'",
    "</style><style>body{display:none}</style>",
)


class Loaded(HTMLParser):
    """What is in a loaded document: its title, elements, attributes, links and text."""

    def __init__(self) -> None:
        super().__init__()
        self.title = self.text = ""
        self.tags: set[str] = set()
        self.styles = 0
        self.attributes: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.add(tag)
        self.styles += tag == "style"
        self.attributes += (name for name, _ in attrs)
        self.links += (value or "" for name, value in attrs if name == "href")

    def handle_data(self, data: str) -> None:
        """Note text; the first title is the page's."""
        if self.lasttag == "title" and not self.title:
            self.title = data
        self.text += data


def rendered_page(browser: str, page: Path, profile: Path) -> str:
    """The document after the browser has loaded it and run what it would run."""
    done = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *("--disable-sync", f"--user-data-dir={profile}", "--virtual-time-budget=2000"),
            *("--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
        env={**os.environ, "HOME": str(profile)},
    )
    return done.stdout


@pytest.mark.everything
@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_log_line_acts_in_a_browser(tmp_path: Path, attack: str) -> None:
    """The title is ours, no element of the line's came to be, and the line can be read."""
    browser = shutil.which("chromium")
    assert browser is not None, "install Debian's chromium"
    page = tmp_path / "report.html"
    page.write_text(render_html(build_model(attack)), encoding="utf-8")
    loaded = Loaded()
    loaded.feed(rendered_page(browser, page, tmp_path / "profile"))
    assert f"Post-mortem of {INSTANCE}" == loaded.title
    assert set() == {"script", "img", "iframe", "object", "embed", "form"} & loaded.tags
    assert 1 == loaded.styles
    assert [] == [name for name in loaded.attributes if name.startswith("on")]
    assert [] == [link for link in loaded.links if not link.startswith("#")]
    assert attack in loaded.text
