"""The command line: one module per command, and what the commands share.

A command is a module with ``add_to(commands)``, which declares its arguments and names the
function that runs it, and that function: it takes the parsed arguments and returns the exit
status. ``vfiipc.__main__`` lists the commands.
"""

from __future__ import annotations
