"""Escapes the characters that are not valid in XML and HTML."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["without_invalid_characters"]

# Addresses, commands and the output of a peer's process can hold any character, and surrogates for
# bytes that are not UTF-8. The characters below are those of XML 1.0 without DEL to U+009F.
_INVALID: Final = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def without_invalid_characters(markup: str) -> str:
    r"""``markup`` with escapes such as ``\x1b`` in place of the characters that are not valid."""
    return _INVALID.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), markup)
