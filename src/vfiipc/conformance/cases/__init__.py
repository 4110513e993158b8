"""The catalogue: all cases, in order. Only data and functions without I/O."""

from __future__ import annotations

from typing import Final

from .case import Case, CaseNotApplicable
from .endings import CASES as _ENDINGS
from .limits import CASES as _LIMITS
from .load import CASES as _LOAD
from .messages import CASES as _MESSAGES
from .pauses import CASES as _PAUSES
from .pieces import CASES as _PIECES
from .resynchronisation import CASES as _RESYNCHRONISATION
from .strict import CASES as _STRICT

__all__ = ["CASES", "CATALOGUE", "CHAPTERS", "Case", "CaseNotApplicable"]

#: The version of the catalogue. It increases when a case is added, withdrawn or changed.
CATALOGUE: Final = 1

CASES: Final[tuple[Case, ...]] = (
    *_MESSAGES,
    *_RESYNCHRONISATION,
    *_LIMITS,
    *_PIECES,
    *_PAUSES,
    *_ENDINGS,
    *_LOAD,
    *_STRICT,
)

CHAPTERS: Final = {
    1: "messages",
    2: "empty messages",
    3: "message IDs",
    4: "resynchronisation",
    5: "sizes and limits",
    6: "pieces",
    7: "pauses",
    8: "closing",
    9: "load",
    10: "strict mode",
}
