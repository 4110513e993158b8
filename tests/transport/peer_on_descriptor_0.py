"""What inetd and its like start: the connection is descriptor 0. Echoes messages until the end."""

from __future__ import annotations

import sys

from vfiipc import TCP


def main() -> int:
    with TCP() as ipc:
        if not ipc.setFD(0):
            sys.exit(f"setFD(0): {ipc.last_error}")
        while (message := ipc.read_msg(0x01020304, 1 << 20)) is not None:
            if not ipc.write_msg(0x01020304, message.msg_id, message.data):
                break
        return 0 if ipc.eof() and not ipc.error() else 3


if __name__ == "__main__":
    sys.exit(main())
