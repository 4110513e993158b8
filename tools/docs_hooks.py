"""Puts the repository's own documents into the site, in their places, without copies of them."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url
from pygments.lexers.shell import BashSessionLexer

from tools.docs_links import first_sentences, linked, rules_in, unbroken

#: Under the root of the repository. A link between them works in both places.
DOCUMENTS = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "benchmarks/results/*",
    "examples/*.md",
    "examples/*.py",
    "spec/**/*",
]


# Only this is a prompt. Pygments takes the `#1 >` of a dump for one, and colours it as a command.
BashSessionLexer._ps1rgx = re.compile(r"^(\$ )(.*\n?)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    root = Path(config.config_file_path).parent
    for pattern in DOCUMENTS:
        for path in sorted(root.glob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts:
                name = path.relative_to(root).as_posix()
                files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


# The specification names the vector that a block shows: ```vector NAME. Markdown for the site has
# titles for that.
_VECTOR = re.compile(r"^( *)```vector (\S+)$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    return _VECTOR.sub(r'\1```text title="vector \2"', markdown)


# The template of mkdocstrings puts a line break between a default and the parenthesis behind it.
_BEFORE_PARENTHESIS = re.compile(r"(?<=</code>)\s+(?=\))")


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    page.meta.setdefault("description", first_sentences(html))
    rules = rules_in(Path(config.config_file_path).parent / "spec")
    html = _BEFORE_PARENTHESIS.sub("", html)
    return unbroken(linked(html, rules, lambda url: get_relative_url(url, page.url)))
