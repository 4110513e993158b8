"""Rules are linked, descriptions are taken from pages, and defaults are shown by value."""

from __future__ import annotations

import re
from pathlib import Path

import griffe
import pytest

from tests.helpers.source import ROOT
from tools.docs_defaults import DefaultsByValue
from tools.docs_links import first_sentences, linked, rules_in, unbroken

RULES = rules_in(ROOT / "spec")


def link(html: str) -> str:
    return linked(html, RULES, lambda url: f"../{url}")


def test_each_rule_leads_to_the_page_that_states_it() -> None:
    assert RULES["FRM-R5"] == "spec/framing.html#frm-r5"
    assert RULES["IPC-X1"] == "spec/ipc.html#ipc-x1"
    assert RULES["CON-R1"] == "spec/connections.html#con-r1"


def test_a_mention_of_a_rule_becomes_a_link_and_its_statement_an_anchor() -> None:
    to_r5 = '<a href="../spec/framing.html#frm-r5">FRM-R5</a>'
    assert link("<p>see FRM-R5, UTF-8</p>") == f"<p>see {to_r5}, UTF-8</p>"
    stated = "<li>\n<p><strong>FRM-R5</strong> Drop one byte: FRM-R5.</p>"
    assert link(stated) == (
        f'<li id="frm-r5">\n<p><strong>FRM-R5</strong> Drop one byte: {to_r5}.</p>'
    )


@pytest.mark.parametrize(
    "html",
    [
        "<code>FRM-R5</code>",
        "<pre><span>x</span> FRM-R5</pre>",
        '<a href="x"><em>FRM-R5</em></a>',
        '<h2 id="x">FRM-R5</h2>',
        '<img alt="FRM-R5">',
        "<p>ABC-D1</p>",
    ],
)
def test_nothing_else_is_linked(html: str) -> None:
    assert link(html) == html


@pytest.mark.parametrize(
    ("html", "kept"),
    [
        ("<code>vfiipc --json -o x</code>", ["--json", "-o"]),
        ("<code>-</code> <code>a b</code> a well-known word", []),
        ("<p><a href='x-y'>FRM-R5</a>, 2026-11-28</p>", ["FRM-R5", "2026-11-28"]),
        ("<pre><code>--json FRM-R5</code></pre>", []),
        (f"<code>--{'long' * 9}</code>", []),
    ],
)
def test_names_with_hyphens_stay_in_one_line(html: str, kept: list[str]) -> None:
    shown = unbroken(html)
    assert re.findall(r'<span class="unbroken">(.*?)</span>', shown) == kept
    assert re.sub(r'<span class="unbroken">(.*?)</span>', r"\1", shown) == html


def test_only_a_dollar_begins_a_command() -> None:
    pytest.importorskip("mkdocs")
    from pygments.lexers import get_lexer_by_name

    import tools.docs_hooks  # noqa: F401

    shown = "$ vfiipc dump x\n08:10:00.005000  #1 >  at 0  prefix\n"
    tokens = get_lexer_by_name("console").get_tokens(shown)
    assert [text for kind, text in tokens if "Output" in str(kind)] == [shown.splitlines(True)[1]]


def test_a_long_call_may_break_behind_its_parenthesis() -> None:
    call = "<code>ipcUnregisterNotificationCB({}notification_id, cb)</code>"
    assert unbroken(call.format("")) == call.format("<wbr>")
    for text in ["spec_files_of_all()", "eof(x)"]:
        assert unbroken(f"<code>{text}</code>") == f"<code>{text}</code>"
    assert unbroken("<p>ipcNotification(parameter)</p>") == "<p>ipcNotification(parameter)</p>"


@pytest.mark.parametrize("page", ["spec/ipc", "docs/guides/tcp", "benchmarks/results/codec"])
def test_a_page_that_the_site_has_becomes_a_link(page: str) -> None:
    name = f"<code>{page}.md</code>"
    assert link(name) == f'<a href="../{page.removeprefix("docs/")}.html">{name}</a>'


@pytest.mark.parametrize(
    ("html", "description"),
    [
        ("<h1>T</h1><p>A <em>short</em> one &amp; more.</p><p>Next</p>", "A short one & more."),
        (f"<p>One sentence, of a certain length. {'more ' * 40}</p>", None),
        (f"<p>{'word ' * 50}</p>", f"{'word ' * 31}word …"),
        ("<h1>nothing else</h1>", ""),
    ],
)
def test_the_description_is_the_beginning_of_the_first_paragraph(
    html: str, description: str | None
) -> None:
    found = first_sentences(html)
    assert len(found) <= 162
    if description is not None:
        assert found == description


def test_defaults_are_shown_by_value(tmp_path: Path) -> None:
    package = tmp_path / "shown"
    package.mkdir()
    (package / "limits.py").write_text("MOST = 16 << 20\n")
    (package / "__init__.py").write_text(
        "from .limits import MOST\nfrom other import UNKNOWN\n"
        "class A:\n    KIND = 0\n"
        "    def f(self, a, b=MOST, c=UNKNOWN, d=KIND, e=None): ...\n"
    )
    extensions = griffe.load_extensions(DefaultsByValue)
    module = griffe.load("shown", search_paths=[tmp_path], extensions=extensions)
    defaults = [str(p.default) for p in module["A"]["f"].parameters]
    assert defaults == ["None", "None", "16 << 20", "UNKNOWN", "KIND", "None"]
