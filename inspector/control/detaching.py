"""Asking a gdbserver to let its process go, without a gdb: a few packets of gdb's remote protocol.

A gdbserver whose gdb was killed keeps its process stopped and listens for another one.
"""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress

PATIENCE = 1.0
"""Seconds in which a gdbserver has to listen again, and in which it has to answer."""
PAUSE = 0.05
LARGEST = 1 << 14
_PACKET = re.compile(rb"\$([^#]*)#[0-9a-fA-F]{2}")
_PROCESS = re.compile(rb"QCp([0-9a-fA-F]+)\.")


def detach(host: str, port: int) -> None:
    """Let the process of a gdbserver run that it has attached to; one that it has started is left where it stands.

    Does nothing where nobody listens: then somebody has let go already.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((host, port), PATIENCE) as connection:
            connection.settimeout(PATIENCE)
            _detach(connection)
            return
        time.sleep(PAUSE)


def _detach(connection: socket.socket) -> None:
    _ask(connection, b"qSupported:multiprocess+")
    found = _PROCESS.match(_ask(connection, b"qC"))
    if found and _ask(connection, b"qAttached:" + found[1]) == b"1":
        _ask(connection, b"D;" + found[1])


def _ask(connection: socket.socket, request: bytes) -> bytes:
    """Send a packet and return what is in the answer; raises OSError."""
    connection.sendall(b"+$%s#%02x" % (request, sum(request) % 256))
    received = b""
    while (answer := _PACKET.search(received)) is None:
        some = connection.recv(LARGEST)
        if not some or len(received) > LARGEST:
            raise OSError("it is not a gdbserver")
        received += some
    connection.sendall(b"+")
    return answer[1]
