"""A server's process tree, and what it costs."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Server:
    """A process tree that serves on a port, and on these CPUs, until the with-block ends."""

    def __init__(self, name, cpus, command):
        self.name = name
        self.port = free_port()
        self.command = ["taskset", "--cpu-list", str(cpus), *map(str, command(self.port))]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not accepts(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"bench: {self.name} does not serve")
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        stop(self.process)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def pids(self):
        return list(process_tree(self.process.pid))

    def workers(self):
        return self.pids()[1:]

    def count_children(self):
        pid = self.process.pid
        return len(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def cpu_seconds(self):
        return sum(cpu_ticks(pid) for pid in self.pids()) / TICKS_PER_SECOND

    def pss_bytes(self):
        return sum(pss_kilobytes(pid) for pid in self.pids()) << 10


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def accepts(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def process_tree(pid):
    yield pid
    for child in children_of(pid):
        yield from process_tree(child)


def children_of(pid):
    """None, if it has ended meanwhile."""
    try:
        lists = [children.read_text() for children in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [int(child) for text in lists for child in text.split()]


def cpu_ticks(pid):
    """utime + stime + cutime + cstime: fields 14 to 17 of proc(5); the name before them may hold anything."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))


def pss_kilobytes(pid):
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
