"""The workloads: what is done through a relay, and what is measured of it.

Each function runs one of them against a relay that has just been started and
returns figures by name.  cpu_us is the processor time of all the relay's
processes for one unit of work; the load and the backends don't count.
"""
import csv
import json
import os
import signal
import subprocess
import time

import process
from crowd import Crowd
from process import Failed
from relays import RELOAD_SECONDS

CLIENTS = 50
TOOL_SECONDS = 300


class Sizes:
    """How much of each; quick: just enough to see that all of it works."""

    def __init__(self, quick):
        self.short = 1500 if quick else 40000       # connections
        self.keepalive = 5000 if quick else 200000  # requests
        self.bulk_mib = 256 if quick else 6144
        self.idle = 200 if quick else 8000          # connections
        self.crowd = 20 if quick else 100           # connections
        self.watch = .3 if quick else 2.0           # seconds
        self.reloads = 2 if quick else 10


class Backends:
    """What the relays relay to for the whole run; where they listen."""

    def __init__(self, directory, echo):
        self.redis, self.echo, self.iperf = [
            process.free_port() for _ in range(3)]
        self.processes = []
        self._start(self.redis, directory, [
            'redis-server', '--port', str(self.redis), '--bind', '127.0.0.1',
            '--save', '', '--appendonly', 'no', '--maxclients', '10000',
            '--tcp-backlog', '4096', '--dir', directory])
        self._start(self.echo, directory, [*echo, str(self.echo)])

    def _start(self, port, directory, argv):
        log = f'{directory}/backend-{port}.log'
        self.processes.append(start_tool(argv, log))
        process.wait_for_port(self.processes[-1], port, log)

    def stop(self):
        for one in self.processes:
            process.end(one)


def start_tool(argv, log):
    try:
        return process.start(argv, log)
    except FileNotFoundError as error:
        raise Failed(f'{argv[0]} is not installed') from error


def run_tool(argv):
    """A load generator of somebody else's; what it prints."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False,
                          timeout=TOOL_SECONDS)
    if done.returncode != 0:
        raise Failed(f'{argv[0]}: {(done.stdout + done.stderr)[-600:]}')
    return done.stdout


def redis_benchmark(port, requests, keep):
    """Requests of a few bytes, each on a new connection or not."""
    out = run_tool(['redis-benchmark', '-h', '127.0.0.1', '-p', str(port),
                    '-c', str(CLIENTS), '-n', str(requests),
                    '-k', '1' if keep else '0', '--csv', '-t', 'ping_mbulk'])
    rows = [row for row in csv.DictReader(out.splitlines())
            if row.get('test', '').startswith('PING')]
    if len(rows) != 1:
        raise Failed(f'redis-benchmark says: {out[-600:]}')
    return {'p50_ms': float(rows[0]['p50_latency_ms']),
            'p99_ms': float(rows[0]['p99_latency_ms'])}


def measure_cpu(relay, units, run):
    """run() does so many units of work; or it returns how many it did."""
    pids = relay.pids()
    before = process.cpu_when_idle_us(pids)
    figures = run()
    spent = process.cpu_when_idle_us(pids) - before
    if relay.pids() != pids:
        raise Failed(f'a process of {relay.name} has ended meanwhile')
    figures['cpu_us'] = spent / figures.pop('units', units)
    return figures


def requests(relay, count, keep):
    redis_benchmark(relay.port, max(1000, count // 20), keep)   # warm now
    return measure_cpu(relay, count,
                       lambda: redis_benchmark(relay.port, count, keep))


def short(relay, sizes):
    return requests(relay, sizes.short, False)


def keepalive(relay, sizes):
    return requests(relay, sizes.keepalive, True)


def iperf(relay, mib, streams):
    """A server of its own for each run: between two, one does not listen."""
    port = str(relay.backend)
    log = f'{relay.directory}/iperf.log'
    server = start_tool(['iperf3', '-s', '-1', '-B', '127.0.0.1', '-p', port],
                        log)
    try:
        process.wait_for_port(server, relay.backend, log)
        out = json.loads(run_tool(
            ['iperf3', '-c', '127.0.0.1', '-p', str(relay.port), '-J',
             '-i', '0', '-n', f'{mib}M', '-P', str(streams)]))
    finally:
        process.end(server)
    received = out.get('end', {}).get('sum_received')
    if 'error' in out or received is None:
        raise Failed(f'iperf3: {out.get("error", "no sum_received")}')
    return {'units': received['bytes'] / (1 << 20),
            'mib_s': received['bits_per_second'] / 8 / (1 << 20)}


def bulk(relay, sizes, streams):
    iperf(relay, sizes.bulk_mib // 16, streams)
    return measure_cpu(relay, 0,
                       lambda: iperf(relay, sizes.bulk_mib, streams))


def bulk1(relay, sizes):
    return bulk(relay, sizes, 1)


def bulk8(relay, sizes):
    return bulk(relay, sizes, 8)


def idle(relay, sizes):
    """Connections that have relayed a message each way, then nothing."""
    count = min(sizes.idle, relay.limit - 100)
    process.cpu_when_idle_us(relay.pids())
    before = process.memory_kib(relay.pids())
    crowd = Crowd(relay.port, count)
    try:
        process.cpu_when_idle_us(relay.pids())
        after = process.memory_kib(relay.pids())
        crowd.handle(0)
        crowd.expect_whole()
    finally:
        crowd.close()
    return {'bytes': (after - before) * 1024 / count, 'base_kib': before}


def watched(relay, sizes, happens, at_first):
    """What a crowd sees of something that happens to the relay."""
    crowd = Crowd(relay.port, at_first)
    try:
        crowd.run(sizes.watch / 2)
        crowd.expect_whole()
        crowd.forget()
        figures = happens(crowd)
        crowd.run(sizes.watch)
        crowd.finish()
        figures.update(
            lost=crowd.lost, wait_ms=crowd.longest_wait * 1e3,
            turned_away=crowd.turned_away, newcomers=crowd.newcomers)
        if crowd.lost == sizes.crowd:
            del figures['wait_ms']
        return figures
    finally:
        crowd.close()


def kill(relay, sizes):
    """SIGKILL to a process that carries connections."""
    victim = relay.worker()

    def happens(_):
        os.kill(victim, signal.SIGKILL)
        return {}
    return watched(relay, sizes, happens, sizes.crowd)


def reload(relay, sizes):
    """Reloads, each of which changes a timeout; before each come a few of
    those who will still be there after the last."""
    before = len(relay.pids()), process.memory_kib(relay.pids())
    more = sizes.crowd // 2 // sizes.reloads

    def happens(crowd):
        for number in range(sizes.reloads):
            crowd.grow(more)
            one_reload(relay, crowd, 3601 + number)
        crowd.run(sizes.watch)
        return {'processes_before': before[0], 'memory_before': before[1],
                'processes_after': len(relay.pids()),
                'memory_after': process.memory_kib(relay.pids())}
    return watched(relay, sizes, happens, sizes.crowd - more * sizes.reloads)


def one_reload(relay, crowd, timeout):
    steps = relay.reload(timeout)
    deadline = time.monotonic() + RELOAD_SECONDS

    def is_done():
        if time.monotonic() > deadline:
            raise Failed(f'{relay.name} does not reload')
        return next(steps, 'done') == 'done'
    crowd.run(0, is_done)
    crowd.run(.2)   # for what is done after the answer, or without one
