"""The check that `make docs` makes of the built site finds each kind of fault, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.check_site import faults

GOOD = """<h1 id="top">A</h1><a href="b.html#here">b</a> <a href="#top">up</a>
<a href="https://example.invalid/">elsewhere</a> <a href="/sub/">a folder</a> <img src="p.png">
<p>A <em>word</em>, <strong>two</strong>; <code>a::</code></p>
<pre><code># a comment\nprint(1)</code></pre>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/index.html").write_text('<a href="../index.html">home</a>')
    (tmp_path / "index.html").write_text(GOOD)
    (tmp_path / "b.html").write_text('<a name="here"></a>')
    (tmp_path / "p.png").write_bytes(b"")
    return tmp_path


def test_a_good_site_has_no_faults(site: Path) -> None:
    assert list(faults(site)) == []


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ('<a href="gone.html">x</a>', "index.html: dead link: gone.html"),
        ('<img src="gone.png">', "index.html: dead link: gone.png"),
        ('<a href="b.html#gone">x</a>', "index.html: missing anchor: b.html#gone"),
        ('<a href="#gone">x</a>', "index.html: missing anchor: #gone"),
        (
            "<pre><code>```vector one\n</code></pre>",
            "index.html: Markdown in code: ```vector one",
        ),
        (
            "<pre><span>a</span>\n### 9.3 Garbage\n</pre>",
            "index.html: Markdown in code: ### 9.3 Garbage",
        ),
        (
            "<p>-2<strong>31..2</strong> 31</p>",
            "index.html: misunderstood markup: 2<strong>31",
        ),
        ("<p>x 2 <em>a</em>b</p>", "index.html: misunderstood markup: a</em>b"),
        ("<p>Use it so::</p>", "index.html: misunderstood markup: so::"),
    ],
)
def test_a_fault_is_found(site: Path, html: str, fault: str) -> None:
    (site / "index.html").write_text(GOOD + html)
    assert list(faults(site)) == [fault]


def test_a_folder_without_pages_is_a_fault(tmp_path: Path) -> None:
    assert list(faults(tmp_path)) == [f"{tmp_path}: has no pages"]
