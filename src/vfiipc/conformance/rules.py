"""The text of the rules in ``spec/framing.md`` that cases refer to."""

from __future__ import annotations

from typing import Final

__all__ = ["RULES", "quoted", "rule_name", "rule_text"]

RULES: Final = {
    "2.2": "All integers are big endian: the most significant byte comes first.",
    "2.4": (
        "S counts the message ID and the data, but neither the prefix nor itself: S = 4 + n. The "
        "least valid S is 4."
    ),
    "2.5": ("The message ID is an integer in -2**31..2**31-1. Framing attaches no meaning to it."),
    "2.6": (
        "Any n bytes. n = 0 is valid. Nothing is escaped: data may contain P, whole headers and "
        "whole messages."
    ),
    "4.3": (
        "A receiver MUST NOT reserve memory for data on the strength of S; only bytes that have "
        "arrived may cost memory."
    ),
    "5": (
        "L counts data alone. A message with n = L is accepted, one with n = L + 1 is not. L = 0 "
        "accepts messages without data."
    ),
    "8.2": (
        "The header of a message that is larger than the receiver's limit is refused. What "
        "follows, its data, is then searched for headers like any garbage."
    ),
    "8.5": (
        "A prefix that begins with zero bytes hides in ordinary data: sizes, small IDs, padding "
        "and the ends of C strings are zeros."
    ),
    "FRM-S4": (
        "A sender MUST finish a message before it begins the next. Several messages are the "
        "concatenation of each."
    ),
    "FRM-R2": (
        "Find the first occurrence of P in the bytes held. If there is one, drop the bytes before "
        "it, add their number to discarded, and continue with FRM-R4."
    ),
    "FRM-R3": (
        "If there is none, let t be the greatest number in 0..3 such that the last t bytes held "
        "are the first t bytes of P. Drop all but these t bytes and add the number dropped to "
        "discarded; more is needed."
    ),
    "FRM-R4": "P is at the front. If fewer than eight bytes are held, more is needed.",
    "FRM-R5": (
        "Read S, unsigned, from the four bytes after P. If S < 4, or S - 4 > L, this P begins no "
        "message: drop one byte, add one to discarded, and go back to FRM-R2."
    ),
    "FRM-R6": "If fewer than 8 + S bytes are held, more is needed.",
    "FRM-F1": (
        "Let m be the number of bytes held, but at most 4. If the first m bytes held are not the "
        "first m bytes of P, there is a fault."
    ),
    "FRM-F2": "If S < 4, or S - 4 > L, there is a fault. Otherwise continue with FRM-R6.",
    "FRM-E1": (
        "When the stream ends, the receiver is asked until more is needed or there is a fault."
    ),
    "FRM-E2": (
        "These bytes are not dropped and do not count as discarded. A receiver MUST NOT search "
        "them for messages: a message that was cut off, or a false header, keeps what follows it."
    ),
    "FRM-C1": (
        "The messages, and discarded and pending after a drain, do not depend on how the stream "
        "was split, nor on when the receiver was asked"
    ),
    "FRM-C7": (
        "The work can be kept linear in the number of bytes that arrive, for every stream and "
        "every way of splitting it"
    ),
}


def rule_text(rule: str) -> str:
    """The text of a rule; empty if it is unknown."""
    return RULES.get(rule, "")


def rule_name(rule: str) -> str:
    """The name of a rule or section in reports."""
    return f"section {rule}" if rule[:1].isdecimal() else rule


def quoted(rule: str) -> str:
    """The name and text of a rule; empty if it is unknown."""
    text = rule_text(rule)
    return f"{rule_name(rule)}: {text}" if text else ""
