#!/usr/bin/env python3
"""Measure srvd beside HAProxy and nginx, in one run; print it as Markdown.

The relays take turns, round by round, each freshly started, so that whatever
else the machine does hits all of them; quote the ratios.  Workloads:

  short       redis-benchmark, a connection for each request, 50 at a time
  keepalive   redis-benchmark, requests on 50 connections
  bulk1       iperf3, one stream
  bulk8       iperf3, eight streams
  idle        connections that do nothing: memory
  kill        a worker is killed under 100 clients: who notices
  reload      ten reloads, before each of which five more clients come, to be
              100 in the end: who notices, what is left behind

Needs haproxy, nginx with its stream module, redis-server, redis-benchmark and
iperf3.  As root the relays drop their privileges; else all run as you.
"""
import argparse
import os
import shutil
import sys
import tempfile

import loads
import process
import relays
import report
from process import Failed

WORKLOADS = {
    'short': loads.short,
    'keepalive': loads.keepalive,
    'bulk1': loads.bulk1,
    'bulk8': loads.bulk8,
    'idle': loads.idle,
    'kill': loads.kill,
    'reload': loads.reload,
}


def say(text):
    print(f'bench: {text}', file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(
        prog='./dev bench', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('workloads', nargs='*', metavar='WORKLOAD',
                        help='which of them; all if none is named')
    parser.add_argument('--rounds', type=int, metavar='N',
                        help='how often each is measured (5)')
    parser.add_argument('--quick', action='store_true',
                        help='little of everything, to see that it works: '
                        'its figures mean nothing')
    # ./dev bench says where the programs are.
    parser.add_argument('--srvd', required=True, help=argparse.SUPPRESS)
    parser.add_argument('--srvctl', required=True, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    for name in chosen.workloads:
        if name not in WORKLOADS:
            parser.error(f'no workload {name}; there are '
                         + ', '.join(WORKLOADS))
    chosen.rounds = chosen.rounds or (1 if chosen.quick else 5)
    if chosen.rounds < 1:
        parser.error('--rounds wants a number from 1 on')
    chosen.workloads = chosen.workloads or list(WORKLOADS)
    return chosen


class Bench:
    """A run: the relays, what is behind them, and what was found."""

    def __init__(self, chosen, directory):
        self.chosen = chosen
        self.sizes = loads.Sizes(chosen.quick)
        self.relays = [
            relays.Haproxy(directory), relays.Nginx(directory),
            relays.Srvd(directory, os.path.abspath(chosen.srvd),
                        os.path.abspath(chosen.srvctl))]
        echo = [sys.executable, os.path.join(os.path.dirname(
            os.path.abspath(__file__)), 'echo.py')]
        self.backends = loads.Backends(directory, echo)
        self.results = {}
        self.failures = 0

    def backend_of(self, workload):
        if workload in ('short', 'keepalive'):
            return self.backends.redis
        if workload in ('bulk1', 'bulk8'):
            return self.backends.iperf
        return self.backends.echo

    def measure(self, workload, relay):
        """One measurement; its figures, none if it failed."""
        try:
            relay.start(self.backend_of(workload))
            return WORKLOADS[workload](relay, self.sizes)
        except (Failed, OSError) as error:
            self.failures += 1
            say(f'{workload}, {relay.name}: FAILED: {error}')
            return {}
        finally:
            relay.stop()

    def run(self):
        for workload in self.chosen.workloads:
            rounds = self.results.setdefault(workload, [])
            for number in range(self.chosen.rounds):
                say(f'{workload}, round {number + 1}')
                # None of them always comes after the same other.
                shift = number % len(self.relays)
                turn = self.relays[shift:] + self.relays[:shift]
                rounds.append({relay.name: self.measure(workload, relay)
                               for relay in turn})

    def print(self, busy):
        names = [relay.name for relay in self.relays]
        versions = {r.name: r.version() for r in reversed(self.relays)}
        print('\n'.join(
            report.preface(versions, self.chosen.rounds, busy)
            + report.tables(self.results, names, self.sizes)))


def main():
    chosen = arguments()
    directory = tempfile.mkdtemp(prefix='srvd-bench.')
    os.chmod(directory, 0o755)      # for relays that dropped privileges
    try:
        process.prepare()
        busy = process.busy_share(.2 if chosen.quick else 2)
        bench = Bench(chosen, directory)
        try:
            bench.run()
            bench.print(busy)
        finally:
            bench.backends.stop()
        if bench.failures:
            sys.exit(f'bench: {bench.failures} measurements FAILED, see above')
    except Failed as error:
        sys.exit(f'bench: {error}')
    except KeyboardInterrupt:
        sys.exit('bench: interrupted')
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == '__main__':
    main()
