"""Clients that are there while something happens to a relay.

The *members* of a crowd have a connection each; one after the other they send
a message every PACE seconds and wait for its echo.  Meanwhile *newcomers*
come, one every NEWCOMER seconds: each connects, sends, hears and leaves.  So
few messages leave both processors idle nearly all the time, and whoever waits,
waits for the relay.
"""
import errno
import gc
import select
import socket
import struct
import time

from process import Failed

PACE = .02
NEWCOMER = .01
PATIENCE = 5.0      # who has no answer after that has lost its connection
MESSAGE = struct.Struct('!QQ')


class Client:
    """A connection, and the message it waits for the echo of."""

    def __init__(self, number, sock, is_newcomer):
        self.number = number
        self.sock = sock
        self.is_newcomer = is_newcomer
        self.is_connecting = is_newcomer
        self.began = time.monotonic()
        self.sent = 0
        self.expected = b''

    def send(self, now):
        self.sent += 1
        self.expected = MESSAGE.pack(self.number, self.sent)
        if not self.is_newcomer:
            self.began = now
        self.sock.send(self.expected)

    def hear(self):
        """True: the answer is complete.  Raises OSError if it is lost."""
        data = self.sock.recv(4096)
        if not data or not self.expected.startswith(data):
            raise ConnectionError('ended, or the answer is wrong')
        self.expected = self.expected[len(data):]
        return not self.expected


class Crowd:
    """count members, connected; close() it."""

    def __init__(self, port, count):
        self.address = ('127.0.0.1', port)
        self.epoll = select.epoll()
        self.clients = {}           # by descriptor
        self.members = []
        self.numbers = 0
        self.turn = 0               # the member that sends next
        self.send_at = self.newcomer_at = 0.0
        self.forget()
        gc.disable()
        for _ in range(count):
            self._join()

    def forget(self):
        """Count from now on."""
        self.lost = 0               # of the members
        self.newcomers = 0
        self.turned_away = 0        # of the newcomers
        self.longest_wait = 0.0     # of a member, in seconds
        self.longest_welcome = 0.0  # of a newcomer, from before its connect

    def grow(self, count):
        """More members; one that is not let in counts as lost."""
        for _ in range(count):
            try:
                self._join()
            except OSError:
                self.lost += 1

    def _join(self):
        sock = socket.create_connection(self.address, PATIENCE)
        client = self._add(sock, False)
        client.send(time.monotonic())
        while not client.hear():
            pass
        sock.setblocking(False)

    def _add(self, sock, is_newcomer):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.numbers += 1
        client = Client(self.numbers, sock, is_newcomer)
        self.clients[sock.fileno()] = client
        mask = select.EPOLLOUT if is_newcomer else select.EPOLLIN
        self.epoll.register(sock, mask)
        if not is_newcomer:
            self.members.append(client)
        return client

    def run(self, seconds=0.0, until=None):
        """So long, and then until until() is true."""
        now = time.monotonic()
        end = now + seconds
        self.send_at = self.newcomer_at = now
        while now < end or (until is not None and not until()):
            self._send_what_is_due(now)
            due = min(self.send_at, self.newcomer_at)
            self.handle(max(0.0, due - time.monotonic()))
            now = time.monotonic()

    def finish(self):
        """Send no more; wait for the answers that are still to come."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and \
                any(client.expected for client in self.clients.values()):
            self.handle(.05)
        for client in list(self.clients.values()):
            if client.expected or client.is_connecting:
                self._lose(client)

    def close(self):
        for client in self.clients.values():
            client.sock.close()
        self.clients.clear()
        self.epoll.close()
        gc.enable()

    def _send_what_is_due(self, now):
        while self.send_at <= now and self.members:
            self.turn = (self.turn + 1) % len(self.members)
            client = self.members[self.turn]
            if not client.expected:
                self._try(client, client.send, now)
            self.send_at += PACE / max(1, len(self.members))
        if not self.members:
            self.send_at = now + PACE
        if self.newcomer_at <= now:
            self.newcomer_at += NEWCOMER
            self._welcome()

    def _welcome(self):
        sock = socket.socket()
        sock.setblocking(False)
        self.newcomers += 1
        client = self._add(sock, True)
        error = sock.connect_ex(self.address)
        if error not in (0, errno.EINPROGRESS):
            self._lose(client)

    def handle(self, timeout):
        for number, _ in self.epoll.poll(timeout):
            client = self.clients.get(number)
            if client is None:
                continue
            if client.is_connecting:
                self._try(client, self._connected, client)
            else:
                self._try(client, self._heard, client)

    def _try(self, client, what, argument):
        try:
            what(argument)
        except BlockingIOError:
            pass
        except OSError:
            self._lose(client)

    def _connected(self, client):
        error = client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error != 0:
            raise OSError(error, 'connect')
        client.is_connecting = False
        self.epoll.modify(client.sock, select.EPOLLIN)
        client.send(time.monotonic())

    def _heard(self, client):
        if not client.hear():
            return
        waited = time.monotonic() - client.began
        if client.is_newcomer:
            self.longest_welcome = max(self.longest_welcome, waited)
            self._leave(client)
        else:
            self.longest_wait = max(self.longest_wait, waited)

    def _lose(self, client):
        if client.is_newcomer:
            self.turned_away += 1
        else:
            self.lost += 1
            self.members.remove(client)
        self._leave(client)

    def _leave(self, client):
        self.epoll.unregister(client.sock)
        del self.clients[client.sock.fileno()]
        client.sock.close()

    def expect_whole(self):
        """Nobody has been lost yet: else what follows means nothing."""
        if self.lost or self.turned_away:
            raise Failed(f'{self.lost} connections and {self.turned_away} '
                         'newcomers lost before anything happened')
