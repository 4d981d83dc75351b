"""Small answers leave at once, whatever protocol number the server's socket was made with."""

import socket

from core.server.latency import set_nodelay


def test_nodelay_is_set_on_a_socket_made_with_protocol_number_0():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        assert sock.proto == 0
        set_nodelay(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_other_sockets_are_left_alone():
    left, right = socket.socketpair()
    with left, right:
        set_nodelay(left)
