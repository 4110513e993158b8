"""Errors of failed attempts, which say what was tried and why it failed."""

from __future__ import annotations

import copy

__all__ = ["explained"]


def explained(cause: BaseException | None, what: str) -> OSError:
    """An exception of the same kind, with the same ``errno``, whose text begins with ``what``.

    The original failure is its cause.
    """
    reason = getattr(cause, "strerror", None) or str(cause)
    error: OSError
    if isinstance(cause, OSError) and type(cause).__module__ != OSError.__module__:
        error = copy.copy(cause)  # numbers of ssl and of resolving are not those of the system
        error.args = (cause.errno, f"{what}: {reason}")
        error.strerror = f"{what}: {reason}"
    elif isinstance(cause, OSError) and cause.errno is not None:
        error = OSError(cause.errno, f"{what}: {reason}")
    elif isinstance(cause, TimeoutError):
        error = TimeoutError(f"{what}: {reason}")
    else:
        error = OSError(f"{what}: {reason}")
    error.__cause__ = cause
    return error
