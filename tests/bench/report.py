"""What was measured, as Markdown."""
import datetime
import os
import platform
import re
import statistics

import process

REFERENCE = 'HAProxy'
BUSY = .05      # more than that, and the figures are no good

# Of each table: what it shows, then its rows: title, workload, figure, format.
COST = ('relay CPU and memory', [
    ('short connections, µs each', 'short', 'cpu_us', '.1f'),
    ('keep-alive, µs a request', 'keepalive', 'cpu_us', '.1f'),
    ('bulk, 1 stream, µs a MiB', 'bulk1', 'cpu_us', '.0f'),
    ('bulk, 8 streams, µs a MiB', 'bulk8', 'cpu_us', '.0f'),
    ('idle, bytes a connection', 'idle', 'bytes', '.0f'),
    ('without connections, KiB', 'idle', 'base_kib', '.0f'),
])
SPEED = ('latency and rate', [
    ('short connections, p50, ms', 'short', 'p50_ms', '.2f'),
    ('short connections, p99, ms', 'short', 'p99_ms', '.2f'),
    ('keep-alive, p50, ms', 'keepalive', 'p50_ms', '.2f'),
    ('keep-alive, p99, ms', 'keepalive', 'p99_ms', '.2f'),
    ('bulk, 1 stream, MiB/s', 'bulk1', 'mib_s', '.0f'),
    ('bulk, 8 streams, MiB/s', 'bulk8', 'mib_s', '.0f'),
])
KILL = ('a worker is killed (SIGKILL)', [
    ('connections lost, of {crowd}', 'kill', 'lost', '.0f'),
    ('longest wait of the others for an answer, ms', 'kill', 'wait_ms',
     '.1f'),
    ('new connections turned away, of {newcomers}', 'kill', 'turned_away',
     '.0f'),
])
KILL_NOTE = (f'{REFERENCE} has one worker process, and its master ends with '
             'it; who supervises it may start it again.')
RELOAD = ('{reloads} reloads', [
    ('connections lost, of {crowd}', 'reload', 'lost', '.0f'),
    ('longest wait for an answer, ms', 'reload', 'wait_ms', '.1f'),
    ('new connections turned away, of {newcomers}', 'reload', 'turned_away',
     '.0f'),
    ('processes before', 'reload', 'processes_before', '.0f'),
    ('processes after', 'reload', 'processes_after', '.0f'),
    ('memory before, KiB', 'reload', 'memory_before', '.0f'),
    ('memory after, KiB', 'reload', 'memory_after', '.0f'),
])


def values(results, workload, name, key):
    """By round; None where there is none."""
    return [one.get(name, {}).get(key) for one in results.get(workload, [])]


def middle(numbers):
    got = [number for number in numbers if number is not None]
    return statistics.median(got) if got else None


def text_of(number, layout):
    return '–' if number is None else format(number, layout)


def spread(numbers, layout):
    """The median, and from where to where unless all print the same."""
    got = [number for number in numbers if number is not None]
    if not got:
        return '–'
    low, high = text_of(min(got), layout), text_of(max(got), layout)
    mid = text_of(statistics.median(got), layout)
    return mid if low == high else f'{mid} [{low}..{high}]'


def ratios(numbers, to):
    """Of each round: the machine may differ from round to round."""
    return [None if a is None or not b else a / b
            for a, b in zip(numbers, to)]


def line(cells):
    return '| ' + ' | '.join(cells) + ' |'


def head(cells):
    return [line(cells), line(['---'] + ['---:'] * (len(cells) - 1))]


def table_of_ratios(table, results, names):
    """A median of each relay, then of each the ratio to the reference."""
    title, rows = table
    others = [name for name in names if name != REFERENCE]
    lines = head([title, *names,
                  *(f'{name} : {REFERENCE}' for name in others)])
    for row, workload, key, layout in rows:
        if workload not in results:
            continue
        all_of = {n: values(results, workload, n, key) for n in names}
        cells = [text_of(middle(all_of[n]), layout) for n in names]
        cells += [spread(ratios(all_of[n], all_of[REFERENCE]), '.2f')
                  for n in others]
        lines.append(line([row, *cells]))
    return lines


def table_of_spreads(table, results, names, words):
    title, rows = table
    lines = head([title.format(**words), *names])
    for row, workload, key, layout in rows:
        cells = [spread(values(results, workload, n, key), layout)
                 for n in names]
        lines.append(line([row.format(**words), *cells]))
    return lines


def newcomers(results, workload, names):
    """How many there were, about: more where more time went by."""
    got = [middle(values(results, workload, n, 'newcomers')) for n in names]
    got = [number for number in got if number is not None]
    if not got:
        return '–'
    low, high = f'{min(got):.0f}', f'{max(got):.0f}'
    return low if low == high else f'{low} to {high}'


def tables(results, names, sizes):
    """All that there is something to put in, with blank lines between."""
    lines = []
    for table in (COST, SPEED):
        if any(row[1] in results for row in table[1]):
            lines += table_of_ratios(table, results, names) + ['']
    for table, workload, note in ((KILL, 'kill', [KILL_NOTE, '']),
                                  (RELOAD, 'reload', [])):
        if workload in results:
            words = {'crowd': sizes.crowd, 'reloads': sizes.reloads,
                     'newcomers': newcomers(results, workload, names)}
            lines += table_of_spreads(table, results, names, words) \
                + ['', *note]
    return lines


def found(path, pattern, default):
    try:
        match = re.search(pattern, process.read(path), re.M)
    except OSError:
        match = None
    return match[1].strip() if match else default


def machine():
    """In a line: what it was measured on."""
    processor = found('/proc/cpuinfo', r'^model name\s*:\s*(.*)$',
                      platform.machine())
    system = found('/etc/os-release', r'^PRETTY_NAME="?([^"\n]*)', 'Linux')
    return (f'{len(os.sched_getaffinity(0))} × {processor}, {system}, '
            f'Linux {platform.release()}')


def preface(versions, rounds, busy):
    """What must be known to read the tables."""
    who = 'root' if os.geteuid() == 0 else 'an ordinary user'
    memory = 'PSS' if process.memory_is_exact() else \
        'RSS, shared memory counted by each process that touched it'
    today = datetime.date.today().isoformat()
    lines = [', '.join(f'{name} {version}'
                       for name, version in versions.items()) + '.',
             f'{machine()}; as {who}, {today}.',
             f'{rounds} round{"s" if rounds != 1 else ""}, in turn. Medians; '
             'ratios are of the same round: median [least..greatest]. '
             f'Memory without files ({memory}).']
    if busy > BUSY:
        lines.append(f'**The machine was busy: {busy:.0%} of its processors '
                     'before the start. Don\'t quote these figures.**')
    return lines + ['']
