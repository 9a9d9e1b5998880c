"""A backend that sends back what it gets: echo.py PORT, on 127.0.0.1.

For small messages, of which a socket's buffer always holds another.
"""
import gc
import select
import socket
import sys

import process


def serve(port):
    process.prepare()
    gc.disable()
    listener = socket.create_server(('127.0.0.1', port), backlog=4096)
    listener.setblocking(False)
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    peers = {}
    while True:
        for number, _ in epoll.poll():
            if number == listener.fileno():
                accept(listener, epoll, peers)
            elif not answer(peers[number]):
                peers.pop(number).close()


def accept(listener, epoll, peers):
    try:
        while True:
            peer, _ = listener.accept()
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peers[peer.fileno()] = peer
            epoll.register(peer, select.EPOLLIN)
    except BlockingIOError:
        pass


def answer(peer):
    """False: the connection has ended."""
    try:
        data = peer.recv(4096)
        if data:
            peer.sendall(data)
        return bool(data)
    except OSError:
        return False


if __name__ == '__main__':
    serve(int(sys.argv[1]))
