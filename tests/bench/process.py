"""Processes: started, ended, and what /proc tells of their families.

Whatever is started here ends with this process, and what a child leaves
behind when it ends becomes a child of this process (a subreaper), so that it
can be found, and nothing else is ever signalled.
"""
import ctypes
import errno
import glob
import itertools
import os
import re
import resource
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LEAST_DESCRIPTORS = 4096
FIRST_PORT = 10000      # below are those of services, and of the demo
TICK_US = 1e6 / os.sysconf('SC_CLK_TCK')

prctl = ctypes.CDLL(None).prctl
started = set()     # pids of what start() has started and end() not ended
ports_tried = itertools.count(os.getpid() * 16)


class Failed(Exception):
    """A measurement that can't be used, and why."""


def prepare():
    """Once, before anything is started."""
    if not os.path.exists('/proc/self/task/%d/children' % os.getpid()):
        raise Failed('this kernel does not tell the children of a process'
                     ' (CONFIG_PROC_CHILDREN)')
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < LEAST_DESCRIPTORS:
        raise Failed(f'a process may have {hard} descriptors (ulimit -Hn); '
                     f'{LEAST_DESCRIPTORS} are needed')
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # As an ordinary exception, so that everything is ended on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def descriptor_limit():
    """How many descriptors a process may have."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def start(argv, log, death_signal=signal.SIGKILL):
    """Start a program whose output goes to the file log; a Popen."""
    with open(log, 'ab') as out:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,
            preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, int(death_signal)))
    started.add(process.pid)
    return process


def read(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def _stat(pid):
    """The fields of /proc/PID/stat from the third on (the state)."""
    return read(f'/proc/{pid}/stat').rpartition(')')[2].split()


def children(pid):
    """The living children of a process; of one that is gone, none."""
    try:
        below = read(f'/proc/{pid}/task/{pid}/children').split()
    except OSError:
        return []
    return [int(child) for child in below if _is_alive(child)]


def _is_alive(pid):
    try:
        return _stat(pid)[0] not in 'ZX'
    except OSError:
        return False


def family(pid):
    """A process and all living ones below it."""
    found = [pid]
    for member in found:
        found += children(member)
    return found


def busy_share(seconds):
    """How much of the processors' time is used now, by whomever."""
    def used_and_all():
        ticks = [int(n) for n in read('/proc/stat').split('\n')[0].split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)   # idle, iowait
    used, everything = used_and_all()
    time.sleep(seconds)
    used_now, everything_now = used_and_all()
    return (used_now - used) / max(1, everything_now - everything)


def title(pid):
    return read(f'/proc/{pid}/cmdline').replace('\0', ' ').strip()


def cpu_us(pids):
    """Processor time of these processes until now.

    Where the kernel keeps it to the nanosecond, that; else in ticks, which
    are a per cent or so of what is measured.
    """
    total = 0.0
    for pid in pids:
        try:
            spent = sum(int(read(path).split()[0]) for path in
                        glob.glob(f'/proc/{pid}/task/*/schedstat')) / 1e3
            user, system = _stat(pid)[11:13]
        except OSError as error:
            raise Failed(f'process {pid} has ended: {error}') from error
        total += spent or (int(user) + int(system)) * TICK_US
    return total


def cpu_when_idle_us(pids):
    """The same, once what there was to do has been done."""
    before = cpu_us(pids)
    for _ in range(40):
        time.sleep(.1)
        now = cpu_us(pids)
        if now - before < 1000:
            return now
        before = now
    raise Failed('the relay does not come to rest')


def memory_is_exact():
    """May this process see what memory those of a relay share?

    Processes that dropped their privileges show that to root alone.
    """
    return os.geteuid() == 0


def memory_kib(pids):
    """Memory of these processes that is no file's.

    As root their PSS: shared memory counts once.  Else their RSS, where it
    counts once for each process that has touched it.
    """
    if memory_is_exact():
        name, keys = 'smaps_rollup', ('Pss_Anon', 'Pss_Shmem')
    else:
        name, keys = 'status', ('RssAnon', 'RssShmem')
    total = 0
    for pid in pids:
        try:
            text = read(f'/proc/{pid}/{name}')
        except OSError as error:
            raise Failed(f'memory of process {pid}: {error}') from error
        for key in keys:
            total += int(re.search(rf'^{key}:\s+(\d+) kB', text, re.M)[1])
    return total


def end(process, how=signal.SIGTERM):
    """End what start() has started, with all that descends from it."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    started.discard(process.pid)
    # What it left behind are children of this process now.
    while left := set(children(os.getpid())) - started:
        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def free_port():
    """A TCP port of 127.0.0.1 that was free a moment ago.

    Below those that the kernel gives to dials, so that none takes it before
    somebody listens there; the kernel's choice only where dials get all.
    """
    end = int(read('/proc/sys/net/ipv4/ip_local_port_range').split()[0])
    count = max(0, end - FIRST_PORT)
    with socket.socket() as sock:
        for _ in range(count):
            port = FIRST_PORT + next(ports_tried) % count
            try:
                sock.bind(('127.0.0.1', port))
                return port
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


def is_listening(port):
    """Does somebody listen there?  Asked without a connection, which is not
    to everyone's liking: iperf3 takes it for a client."""
    wanted = f'0100007F:{port:04X}'     # 127.0.0.1, as the kernel prints it
    return any(line.split()[1] == wanted and line.split()[3] == '0A'
               for line in read('/proc/net/tcp').splitlines()[1:])


def wait_for_port(process, port, log):
    """Until somebody listens there; process is who should."""
    deadline = time.monotonic() + 10
    while not is_listening(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise Failed(f'{process.args[0]} does not listen: '
                         + read(log)[-600:])
        time.sleep(.02)
