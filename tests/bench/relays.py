"""The relays that are compared, in settings that can be.

All: two workers (HAProxy: threads, which is what it calls for), the same
backend, the same limit of connections and timeouts of an hour, no log of
connections, small pieces sent at once (TCP_NODELAY: HAProxy always, the others
by default), no keep-alive probes (the default of HAProxy and nginx), and as
root all drop their privileges to the same user.  HAProxy may splice, which it
does not by default; nginx has a listening socket a worker, which it has not by
default: both do better so.
"""
import os
import re
import shutil
import signal
import subprocess
import time

import process
from process import Failed

WORKERS = 2
USER, GROUP = 'nobody', 'nogroup'
RELOAD_SECONDS = 20


class Relay:
    """One relay: its program, and while it runs its process."""
    name = ''
    program = ''
    end_signal = signal.SIGTERM

    def __init__(self, directory):
        self.directory = f'{directory}/{self.name.lower()}'
        os.mkdir(self.directory)
        self.config = f'{self.directory}/config'
        self.log = f'{self.directory}/log'
        self.limit = min((process.descriptor_limit() - 1500) // 2, 9000)
        self.port = self.backend = 0
        self.process = None
        if shutil.which(self.program) is None:
            raise Failed(f'{self.program} is not installed')

    # What each relay says for itself.

    def version(self):
        raise NotImplementedError

    def text(self, timeout):
        """The configuration; timeout (seconds) is what reloads change."""
        raise NotImplementedError

    def argv(self):
        raise NotImplementedError

    def worker(self):
        """The process that carries connections, or one of them."""
        return process.children(self.process.pid)[0]

    def reload(self, timeout):
        """Reload; yields until it is done.

        A signal has no answer: it is done when as many new processes as
        there were at the start are there.
        """
        before = set(process.children(self.process.pid))
        self._configure(timeout)
        os.kill(self.process.pid, self.reload_signal)
        while len(set(process.children(self.process.pid)) - before) \
                < self.processes - 1:
            yield

    reload_signal = None
    processes = 0       # at the start

    # What is the same for all.

    def start(self, backend):
        """Run before a backend on a port of 127.0.0.1."""
        self.backend = backend
        self.port = process.free_port()
        self._configure(3600)
        self.process = process.start(self.argv(), self.log, self.end_signal)
        process.wait_for_port(self.process, self.port, self.log)
        self._wait_for_workers()

    def stop(self):
        if self.process is not None:
            process.end(self.process, self.end_signal)
        self.process = None

    def pids(self):
        return process.family(self.process.pid)

    def _configure(self, timeout):
        with open(self.config, 'w', encoding='utf-8') as file:
            file.write(self.text(timeout))

    def _wait_for_workers(self):
        deadline = time.monotonic() + 10
        while len(self.pids()) < self.processes:
            if time.monotonic() > deadline:
                raise Failed(f'{self.name} does not start its workers')
            time.sleep(.02)

    def _version_of(self, option):
        done = subprocess.run([self.program, option], check=False,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        found = re.search(r'\d+\.\d+(\.\d+)?', done.stdout)
        if found is None:
            raise Failed(f'{self.program} {option} says: {done.stdout}')
        return found[0]


class Srvd(Relay):
    name = 'srvd'
    end_signal = signal.SIGINT
    processes = 1 + 2 * WORKERS     # a holder each

    def __init__(self, directory, program, srvctl):
        self.program = program
        self.srvctl = srvctl
        super().__init__(directory)

    def version(self):
        return self._version_of('-V')

    def text(self, timeout):
        return f'''workers = {WORKERS}
user = {USER}
max_connections = {self.limit}
control {{ path = "{self.directory}/control" }}
log {{ level = error }}
service bench {{
	listen = {{127.0.0.1:{self.port}}}
	connect_timeout = 5s
	idle_timeout = {timeout}s
	half_closed_timeout = {timeout}s
	keepalive = 0
	backlog = 4096
	backend a {{ address = 127.0.0.1:{self.backend} }}
}}
'''

    def argv(self):
        return [self.program, '-f', self.config]

    def worker(self):
        for pid in self.pids():
            if process.title(pid) == 'srvd: worker 0':
                return pid
        raise Failed('srvd has no worker 0')

    def reload(self, timeout):
        self._configure(timeout)
        order = process.start([self.srvctl, '--socket',
                               f'{self.directory}/control', 'reload'],
                              self.log)
        while order.poll() is None:
            yield
        if order.returncode != 0:
            raise Failed('srvctl reload: ' + process.read(self.log)[-600:])


class Haproxy(Relay):
    name = 'HAProxy'
    program = 'haproxy'
    processes = 2
    reload_signal = signal.SIGUSR2

    def version(self):
        return self._version_of('-v')

    def text(self, timeout):
        drop = f'user {USER}\n\tgroup {GROUP}' if os.geteuid() == 0 else ''
        return f'''global
	nbthread {WORKERS}
	maxconn {self.limit}
	maxpipes 200
	{drop}
defaults
	mode tcp
	timeout connect 5s
	timeout client {timeout}s
	timeout server {timeout}s
	option splice-auto
listen bench
	bind 127.0.0.1:{self.port} backlog 4096
	server a 127.0.0.1:{self.backend}
'''

    def argv(self):
        return [self.program, '-W', '-db', '-f', self.config]


class Nginx(Relay):
    name = 'nginx'
    program = 'nginx'
    processes = 1 + WORKERS
    reload_signal = signal.SIGHUP

    def version(self):
        return self._version_of('-v')

    def text(self, timeout):
        drop = f'user {USER} {GROUP};' if os.geteuid() == 0 else ''
        return f'''load_module /usr/lib/nginx/modules/ngx_stream_module.so;
worker_processes {WORKERS};
worker_rlimit_nofile {process.descriptor_limit()};
pid {self.directory}/pid;
error_log {self.directory}/log error;
{drop}
events {{ worker_connections {2 * self.limit + 100}; }}
stream {{
	server {{
		listen 127.0.0.1:{self.port} backlog=4096 reuseport;
		proxy_connect_timeout 5s;
		proxy_timeout {timeout}s;
		proxy_pass 127.0.0.1:{self.backend};
	}}
}}
'''

    def argv(self):
        return [self.program, '-p', self.directory, '-e', self.log,
                '-g', 'daemon off;', '-c', self.config]
