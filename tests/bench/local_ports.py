#!/usr/bin/env python3
"""Measure what a dial costs while ended connections keep their local ports.

As root, in a network namespace of its own: connections to one address are
opened and closed, their ports stay taken (TIME_WAIT), and from time to time
the CPU that connect(2) takes is printed, for sockets as they are and for ones
that are given a port range as server/worker/local_ports.c does (from 39826 on, of
32768 to 60999).
"""
import ctypes
import fcntl
import os
import socket
import statistics
import struct
import sys
import threading
import time

BACKEND = ('127.0.0.1', 9000)
TAKEN = (1000, 10000, 14000, 15000, 18000, 20500)
DIALS = 200
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
IP_LOCAL_PORT_RANGE = 51
UPPER_PART = struct.pack('=I', 65535 << 16 | 39826)


def set_up(name, value):
    with open(f'/proc/sys/net/ipv4/{name}', 'w', encoding='ascii') as f:
        f.write(value)


def enter_network():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        sys.exit(f'local_ports: {os.strerror(ctypes.get_errno())}: '
                 'a network namespace wants root')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS,
                    struct.pack('16sH14x', b'lo', IFF_UP))
    # Over loopback ports would be taken again after a second.
    set_up('tcp_tw_reuse', '0')
    set_up('ip_local_port_range', '32768 60999')


def serve(listener):
    while True:
        client, _ = listener.accept()
        client.recv(1)
        client.close()


def dial(has_range):
    """Microseconds of CPU that connect() took; the port is taken then."""
    with socket.socket() as sock:
        if has_range:
            sock.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, UPPER_PART)
        begin = time.thread_time_ns()
        sock.connect(BACKEND)
        took = time.thread_time_ns() - begin
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)
    return took / 1000


def measure(has_range):
    enter_network()
    listener = socket.create_server(BACKEND, backlog=1024)
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    done = 0
    for taken in TAKEN:
        for _ in range(taken - done):
            dial(has_range)
        costs = [dial(has_range) for _ in range(DIALS)]
        done = taken + DIALS
        print(f'{"range" if has_range else "as is"}, {taken} ports taken: '
              f'{statistics.median(costs):.0f} us a dial', flush=True)


if __name__ == '__main__':
    for kind in (False, True):
        child = os.fork()
        if child == 0:
            measure(kind)
            os._exit(0)     # the server's thread waits for ever
        if os.waitpid(child, 0)[1] != 0:
            sys.exit(1)
