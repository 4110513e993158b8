"""The tests with every Python that is found; run it with ``make test-all``."""

from __future__ import annotations

import nox

nox.needs_version = ">=2025.2"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """Installs the package as a user would, not in editable form, and runs the tests on that."""
    session.install("--quiet", ".[test]")
    session.run("python", "-m", "pytest", "-n", "4", "--dist", "worksteal", *session.posargs)
