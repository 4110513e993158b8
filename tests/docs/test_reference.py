"""The reference has a page for every module that users import, and names everything it offers."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from tests.docs.pages import DOCS
from tests.test_exports import FRONT_DOORS

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md")}
DOCUMENTED = {
    page: text.splitlines()[0].strip("# `") for page, text in PAGES.items() if page != "index"
}
#: Modules whose public names appear on the pages of other modules.
WITHOUT_A_PAGE = {
    "vfiipc.blocking",
    "vfiipc.exchange",
    "vfiipc.faults",
    "vfiipc.transport",
}


def offered(module: str) -> set[str]:
    return {name for name in import_module(module).__all__ if name != "__version__"}


def test_every_module_that_users_import_has_a_page() -> None:
    top = {name for name in FRONT_DOORS if name.count(".") <= 1}
    assert top - WITHOUT_A_PAGE - set(DOCUMENTED.values()) == set()


def test_the_index_links_each_page() -> None:
    links = re.findall(r"\]\((\w+)\.md\)", PAGES["index"])
    assert sorted(links) == sorted(DOCUMENTED)


@pytest.mark.parametrize("page", DOCUMENTED)
def test_a_page_shows_the_module_first_and_then_all_it_offers(page: str) -> None:
    module = DOCUMENTED[page]
    blocks = re.findall(r"^::: ([\w.]+)$", PAGES[page], re.MULTILINE)
    assert blocks[0] == module
    if "members: false" in PAGES[page]:
        shown = {block.rpartition(".")[2] for block in blocks[1:]}
        assert offered(module) - shown <= set(re.findall(r"`(\w+)`", PAGES[page]))
        assert shown <= offered(module)
        for block in blocks[1:]:
            owner, _, name = block.rpartition(".")
            assert getattr(import_module(owner), name) is getattr(import_module(module), name)
