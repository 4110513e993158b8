"""What a test needs of the machine: without it, it is skipped, but never on the build machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

# Numbers of capabilities(7).
_CAP_NET_ADMIN = 12
_CAP_SYS_ADMIN = 21


def skip_or_fail(reason: str) -> NoReturn:
    """Skips with the reason; fails where the build machine could have had what is missing.

    That is: under ``CI=true``, with the rights to install programs and to make namespaces.
    """
    if os.environ.get("CI") == "true" and can_make_namespaces():
        pytest.fail(f"nothing may be skipped here: {reason}")
    pytest.skip(reason)


def can_make_namespaces() -> bool:
    """Whether this process has CAP_NET_ADMIN and CAP_SYS_ADMIN."""
    needed = 1 << _CAP_NET_ADMIN | 1 << _CAP_SYS_ADMIN
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return int(value, 16) & needed == needed
    return False


def program(name: str) -> str:
    """The path of a program, ``/usr/sbin`` and ``/sbin`` included."""
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin:/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        skip_or_fail(f"{name} is not installed")
    return found
