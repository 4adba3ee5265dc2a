"""procpool-ftpd beside vsftpd and pure-ftpd. Each row is measured in turns, and its medians are compared."""

import functools
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import ftp_peers
from server_process import Server, process_tree

OURS = "procpool-ftpd"
FILES_OF_A_LIST = 100
FILES_OF_A_LONG_LIST = 100_000
GIB = 1 << 30
UPLOAD = 512 << 20
UPLOAD_USER = "ada"  # with us anonymous clients may not write


@dataclass
class Bench:
    programs: Path
    folder: Path
    site: Path
    rounds: int
    seconds: float
    server_cpu: int
    load_cpu: int
    priority: list  # what to put before a command

    def load(self, server, user, number, *what):
        """How often it was done, and in how many seconds."""
        place = [*self.priority, "taskset", "--cpu-list", self.load_cpu]
        command = [*place, self.programs / "ftp_load", server.port, user, number, *what]
        output = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=300).stdout
        count, seconds = map(float, output.split())
        return count, seconds

    def in_turns(self, servers, sample):
        samples = {server.name: [] for server in servers}
        for _ in range(self.rounds):
            for server in servers:
                samples[server.name].append(sample(server))
        return {name: statistics.median(values) for name, values in samples.items()}


def tell(title, unit, medians, target, beside, least=None, most=None):
    """One line; returns whether the target was missed. `beside`: a peer's name, or the best of all."""
    others = {name: value for name, value in medians.items() if name != OURS}
    pick = max if least else min
    other = pick(others.values()) if beside == "best" else others[beside]
    ratio = medians[OURS] / other
    met = ratio >= least if least else ratio <= most
    figures = "".join(f"{medians.get(name, float('nan')):>12.2f}" for name in (OURS, *ftp_peers.ALL))
    print(f"{title:<30}{unit:<10}{figures}{ratio:>8.2f}  {target}{'' if met else '   MISSED'}", flush=True)
    return not met


def rate(bench, servers, title, what, least, beside, user="anonymous"):
    def sample(server):
        count, seconds = bench.load(server, user, bench.seconds, *what)
        return count / seconds

    medians = bench.in_turns(servers, sample)
    return tell(title, "/s", medians, f">= {least:g} x {beside}", beside, least=least)


def await_end_of_sessions(server):
    """The processor time of a session is its master's to tell when that has reaped it."""
    deadline = time.monotonic() + 10
    while server.workers():
        if time.monotonic() > deadline:
            sys.exit(f"bench: {server.name}: a session does not end")
        time.sleep(0.01)


def cpu_of(bench, server, user, times, *what):
    await_end_of_sessions(server)
    before = server.cpu_seconds()
    count, seconds = bench.load(server, user, times, *what)
    await_end_of_sessions(server)
    return (server.cpu_seconds() - before) / count * 1e3, count / seconds


def download(bench, servers):
    rates = {server.name: [] for server in servers}

    def sample(server):
        cost, rate_of_it = cpu_of(bench, server, "anonymous", 3, "get", "large")
        rates[server.name].append(rate_of_it)
        return cost

    servers = [server for server in servers if server.name in (OURS, "vsftpd")]
    medians = bench.in_turns(servers, sample)
    missed = tell("RETR 1 GiB, server CPU", "ms", medians, "<= 1 x vsftpd", "vsftpd", most=1.0)
    speeds = {name: statistics.median(values) for name, values in rates.items() if values}
    return missed + tell("RETR 1 GiB", "GiB/s", speeds, ">= 1 x vsftpd", "vsftpd", least=1.0)


def upload(bench, servers):
    def sample(server):
        user = UPLOAD_USER if server.name == OURS else "anonymous"
        cost = cpu_of(bench, server, user, 2, "put", "up/large", UPLOAD)[0]
        (bench.site / "up/large").unlink()
        return cost

    servers = [server for server in servers if server.name in (OURS, "vsftpd")]
    medians = bench.in_turns(servers, sample)
    return tell("STOR 512 MiB, server CPU", "ms", medians, "<= 0.75 x vsftpd", "vsftpd", most=0.75)


class IdleSessions:
    def __init__(self, bench, server, number):
        self.command = list(map(str, [bench.programs / "ftp_load", server.port, "anonymous", number, "idle"]))

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.reached = self.process.stdout.readline() != ""
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def memory(bench, servers):
    medians = {}
    for server in servers:
        await_end_of_sessions(server)
        base = server.pss_bytes()
        with IdleSessions(bench, server, 100):
            medians[server.name] = (server.pss_bytes() - base) / 100 / 1024
    return tell("an idle session, PSS", "KiB", medians, "<= 0.4 x vsftpd", "vsftpd", most=0.4)


def thousand(bench, servers):
    server = next(server for server in servers if server.name == OURS)
    with IdleSessions(bench, server, 1000) as sessions:
        served = sessions.reached and len(list(process_tree(server.process.pid))) > 1000
        count, seconds = bench.load(server, "anonymous", bench.seconds, "retr", "small")
    print(f"1,000 sessions at once: {'served' if served else 'MISSED'}, and beside them {count / seconds:.0f} RETR /s", flush=True)
    return not served


def peak_kib(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def long_list(bench, servers):
    """The largest that a session becomes while it lists a hundred files, and a hundred thousand."""
    server = next(server for server in servers if server.name == OURS)
    peaks = []
    for path in ("list", "long"):
        command = [bench.programs / "ftp_load", server.port, "anonymous", bench.seconds, "list", path]
        with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL) as load:
            peak = 0
            while load.poll() is None:
                for pid in server.workers():
                    try:
                        peak = max(peak, peak_kib(pid))
                    except (OSError, StopIteration):
                        pass
                time.sleep(0.02)
            peaks.append(peak)
    bounded = peaks[1] <= peaks[0] + 1024
    print(f"LIST of {FILES_OF_A_LONG_LIST:,} files: a session is {peaks[1]} KiB at most, of {FILES_OF_A_LIST} files {peaks[0]} KiB{'' if bounded else '   MISSED'}", flush=True)
    return not bounded


ALL = {
    "connect": lambda *p: rate(*p, "connect and banner", ["connect"], 3, "vsftpd"),
    "login": lambda *p: rate(*p, "anonymous login and quit", ["login"], 3, "vsftpd"),
    "list": lambda *p: rate(*p, f"LIST of {FILES_OF_A_LIST} files", ["list", "list"], 1.5, "best"),
    "retr": lambda *p: rate(*p, "RETR of a small file", ["retr", "small"], 1.2, "best"),
    "download": download,
    "upload": upload,
    "memory": memory,
    "thousand": thousand,
    "long-list": long_list,
}


def make_site(site):
    (site / "list").mkdir(parents=True)
    (site / "long").mkdir()
    (site / "up").mkdir()
    (site / "up").chmod(0o777)
    (site / "small").write_bytes(os.urandom(1024))
    for number in range(FILES_OF_A_LIST):
        (site / f"list/file-{number}").write_bytes(b"x" * number)
    for number in range(FILES_OF_A_LONG_LIST):
        os.close(os.open(site / f"long/file-{number}", os.O_CREAT | os.O_WRONLY))
    with open(site / "large", "wb") as large:
        for _ in range(GIB >> 20):
            large.write(bytes(1 << 20))


def commands_of_servers(bench):
    users = bench.folder / "users"
    add = [bench.programs / "procpool-ftpd", "user", "add", "--users", users, "--home", bench.site, "--write", UPLOAD_USER]
    subprocess.run(add, check=True, input="secret\n", text=True)

    def ours(port):
        limits = ["--max-sessions-per-address", 2000]
        access = ["--anonymous", bench.site, "--users", users, "--user", "nobody"]
        return [bench.programs / "procpool-ftpd", "--listen", f"127.0.0.1:{port}", *access, *limits]

    peers = {name: functools.partial(command, bench.folder, bench.site) for name, command in ftp_peers.ALL.items()}
    return {OURS: ours} | peers


def server_of(bench, name, command):
    return Server(name, bench.server_cpu, lambda port: [*bench.priority, *command(port)])


def run(bench, names):
    """How many missed their targets."""
    if os.geteuid() != 0:
        sys.exit("bench: vsftpd and pure-ftpd want to be started by root")
    ftp_peers.require()
    bench.folder.chmod(0o755)
    make_site(bench.site)
    with ExitStack() as running:
        commands = commands_of_servers(bench).items()
        servers = [running.enter_context(server_of(bench, name, command)) for name, command in commands]
        for server in servers:
            bench.load(server, "anonymous", 0.2, "retr", "small")
        print(f"{'':<30}{'':<10}" + "".join(f"{name:>12}"[:14] for name in (OURS, *ftp_peers.ALL)) + f"{'ratio':>8}  target")
        return sum(ALL[name](bench, servers) for name in names)
