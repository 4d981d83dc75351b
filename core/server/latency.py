"""Small answers without a 40 ms wait.

Streamlit 1.67 hands uvicorn sockets made with protocol number 0. asyncio switches Nagle's algorithm off only where the
number is TCP's, so every small answer waits for the client's delayed acknowledgement: 44 ms each was measured. uvloop
does not look at the number; where it cannot be installed (Windows), the check itself is replaced.
"""

from __future__ import annotations

import asyncio
import asyncio.base_events
import importlib.util
import socket


def send_small_answers_at_once() -> bool:
    """Make asyncio switch Nagle's algorithm off for every TCP socket, unless uvloop is there and does so anyway.

    Returns:
        Whether asyncio had to be changed. Calling it again changes nothing.
    """
    if importlib.util.find_spec("uvloop") is not None:
        return False
    asyncio.base_events._set_nodelay = set_nodelay  # pyright: ignore[reportAttributeAccessIssue]
    return True


def set_nodelay(sock: socket.socket) -> None:
    """Switch Nagle's algorithm off for an internet stream socket, whatever protocol number it was made with."""
    if sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
