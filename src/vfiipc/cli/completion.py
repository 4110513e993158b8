"""``vfiipc completion``: prints the shell code that completes commands and options."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Final

from . import arguments
from .failures import INSTALL_CLI, Failure
from .streams import say

__all__ = ["add_to", "complete"]

_SHELLS: Final = ("bash", "zsh", "fish")
_ASKED: Final = "_ARGCOMPLETE"  # in the environment when a shell asks

_MORE = """\
Add one of these lines to the start-up file of your shell:
  bash  ~/.bashrc                   eval "$(vfiipc completion bash)"
  zsh   ~/.zshrc, after compinit    eval "$(vfiipc completion zsh)"
  fish  ~/.config/fish/config.fish  vfiipc completion fish | source
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands, "completion", _run, does="print the shell code for tab completion", more=_MORE
    )
    parser.add_argument("shell", metavar="SHELL", choices=_SHELLS, help="bash, zsh or fish")


def _run(parsed: argparse.Namespace) -> int:
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError:
        raise Failure(f"completion needs argcomplete; {INSTALL_CLI}") from None
    say(shellcode(["vfiipc"], shell=parsed.shell).strip())
    return 0


def complete(make_parser: Callable[[], argparse.ArgumentParser]) -> None:
    """Answers a completion request from the shell and exits; does nothing without a request."""
    if _ASKED not in os.environ:
        return
    try:
        from argcomplete import autocomplete
    except ImportError:
        raise SystemExit(1) from None
    autocomplete(make_parser())
