"""What else is measured of procpool-httpd than the CPU of its requests: memory, spread, latency, starts and reloads,
system calls, and how it bears slow clients. Each figure prints its lines and returns how many targets it missed."""

import collections
import json
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import http_peers
from server_process import Server, cpu_ticks, free_port, stop

OURS = "procpool-httpd"
SMALL = "/small/1k.bin"
LARGE = "/large/1m.bin"
CROWDED = ["--idle-timeout", "600s", "--max-connections", 16000]  # of ours, with thousands of idle connections
GET = "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n"
IDLE = 8000
IDLE_BESIDE = 10000
STRATEGIES = ("shared", "reuseport", "lock", "pass")
PATIENCE = 10  # seconds
RELOADS = 20  # a round: each takes a few milliseconds, give or take as much


@dataclass
class Bench:
    """What a figure is measured with."""

    programs: Path
    folder: Path
    site: Path
    rounds: int
    seconds: int
    server_cpu: int
    load_cpu: int

    def both_cpus(self):
        return f"{self.server_cpu},{self.load_cpu}"

    def new_folder(self):
        folder = self.folder / str(free_port())
        folder.mkdir()
        return folder

    def ours(self, *more, cpus=None, workers=1, site=True):
        arguments = ["--workers", workers, *more]
        arguments += ["--root", self.site] if site else []
        program = self.programs / OURS
        command = lambda port: [program, "--listen", f"127.0.0.1:{port}", *arguments]  # noqa: E731
        return Server(OURS, self.server_cpu if cpus is None else cpus, command)

    def nginx(self, cpus=None, workers=1):
        folder = self.new_folder()
        command = lambda port: http_peers.nginx(folder, self.site, port, workers, 16000)  # noqa: E731
        return Server("nginx", self.server_cpu if cpus is None else cpus, command)

    def load(self, server, *more, connections=64, path=SMALL, cpus=None, threads=1):
        """Runs wrk: how many requests were answered, and the 99th percentile of the latencies in milliseconds."""
        cpus = self.load_cpu if cpus is None else cpus
        command = ["taskset", "--cpu-list", str(cpus), "wrk", "--latency", "--threads", str(threads)]
        command += ["--connections", str(connections), "--duration", f"{self.seconds}s", *more, server.url(path)]
        output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=self.seconds + 60).stdout
        if trouble := re.search(r"Non-2xx.*|Socket errors.*", output):
            print(f"bench: {server.name}: {trouble[0].strip()}", file=sys.stderr)
        number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", output).groups()
        p99 = float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
        return int(re.search(r"(\d+) requests in", output)[1]), p99


@dataclass
class Target:
    of: str
    value: float
    most: float

    def show(self):
        met = self.value <= self.most
        print(f"{'':<34}{self.of}: {self.value:.2f} <= {self.most:.2f} {'met' if met else 'MISSED'}", flush=True)
        return not met


def show(title, samples, unit):
    """The medians of {name: values}."""
    for name, values in samples.items():
        three = (statistics.median(values), min(values), max(values))
        print(f"{title:<34}{name:<20}" + "".join(f"{value:>10.2f}" for value in three) + f"  {unit}", flush=True)
    return {name: statistics.median(values) for name, values in samples.items()}


def judge(*targets):
    return sum(target.show() for target in targets)


def spread(numbers):
    """The largest beside the mean."""
    return max(numbers) / statistics.mean(numbers)


@contextmanager
def idle_connections(server, count):
    """Keep-alive connections, each of which has been answered once."""
    request = GET.format(SMALL).encode()
    with ExitStack() as open_ones:
        for _ in range(count):
            client = open_ones.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
            client.sendall(request)
            received = client.recv(4096)
            while not received.endswith(server.small):
                received += client.recv(4096)
        yield


def idle(bench):
    samples = collections.defaultdict(list)
    for _ in range(min(bench.rounds, 3)):
        for server in (bench.ours(*CROWDED), bench.nginx()):
            with server:
                server.small = (bench.site / SMALL[1:]).read_bytes()
                with idle_connections(server, 1):
                    before = server.pss_bytes()
                    with idle_connections(server, IDLE):
                        time.sleep(1)  # what is given back is given back by then
                        samples[server.name].append((server.pss_bytes() - before) / IDLE)
    medians = show(f"{IDLE} idle connections", samples, "bytes of PSS each")
    return judge(Target(OURS, medians[OURS], 512))


def beside_idle(bench):
    samples = {f"{count} idle ones": [] for count in (0, IDLE_BESIDE)}
    with bench.ours(*CROWDED) as server:
        server.small = (bench.site / SMALL[1:]).read_bytes()
        for _ in range(bench.rounds):
            for name, count in zip(samples, (0, IDLE_BESIDE)):
                with idle_connections(server, count):
                    before = server.cpu_seconds()
                    requests, _ = bench.load(server)
                    samples[name].append((server.cpu_seconds() - before) / requests * 1e6)
    none, many = show("64 active connections beside", samples, "µs of CPU a request").values()
    return judge(Target("with / without", many / none, 1.3))


def requests_of_workers(server):
    with urllib.request.urlopen(server.url("/status.json"), timeout=PATIENCE) as answer:
        return [worker["requests"] for worker in json.load(answer)["workers"]]


def requests_spread(bench, *arguments):
    """Of requests between the workers, as the server itself counts them."""
    with bench.ours(*arguments, cpus=bench.both_cpus(), workers=4, site=False) as server:
        bench.load(server, connections=512, path="/", cpus=bench.both_cpus(), threads=2)
        return spread(requests_of_workers(server))


def crowd(bench):
    latencies, cpu = collections.defaultdict(list), collections.defaultdict(list)
    requests = {OURS: []}
    for _ in range(bench.rounds):
        for server in (bench.ours(cpus=bench.both_cpus(), workers=4), bench.nginx(bench.both_cpus(), 4)):
            with server:
                _, p99 = bench.load(server, connections=512, cpus=bench.both_cpus(), threads=2)
                latencies[server.name].append(p99)
                cpu[server.name].append(spread([cpu_ticks(pid) for pid in server.workers()]))
        requests[OURS].append(requests_spread(bench))
    title = "4 workers, 512 connections"
    p99 = show(title, latencies, "ms, 99th percentile")
    show(title, cpu, "CPU of the busiest / mean")
    spreads = show(title, requests, "requests of the busiest / mean")
    even = Target("requests of the busiest / mean", spreads[OURS], 1.3)
    return judge(even, Target(f"{OURS} / nginx, p99", p99[OURS] / p99["nginx"], 1.0))


def strategies(bench):
    cost, latencies, spreads = ({name: [] for name in STRATEGIES} for _ in range(3))
    close = ["--header", "Connection: close"]
    for _ in range(min(bench.rounds, 5)):
        for name in STRATEGIES:
            with bench.ours("--accept", name, cpus=bench.both_cpus(), workers=4) as server:
                requests, p99 = bench.load(server, *close, cpus=bench.both_cpus(), threads=2)
                cost[name].append(server.cpu_seconds() / requests * 1e6)
                latencies[name].append(p99)
            spreads[name].append(requests_spread(bench, "--accept", name))
    show("4 workers, new connection each", cost, "µs of CPU a request")
    show("4 workers, new connection each", latencies, "ms, 99th percentile")
    show("4 workers, 512 connections", spreads, "requests of the busiest / mean")
    return 0


def asks(port, path):
    """The body, or nothing when nobody answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
            client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            received = b""
            while piece := client.recv(1 << 16):
                received += piece
        return received.partition(b"\r\n\r\n")[2]
    except ConnectionError:
        return b""


def milliseconds_until(happens):
    start = time.perf_counter()
    while not happens():
        if time.perf_counter() - start > PATIENCE:
            sys.exit("bench: it does not happen")
    return (time.perf_counter() - start) * 1000


def start(bench):
    body = (bench.site / SMALL[1:]).read_bytes()
    samples = collections.defaultdict(list)
    for _ in range(3 * bench.rounds):
        for server in (bench.ours(), bench.nginx()):
            begin = time.perf_counter()
            server.process = subprocess.Popen(server.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            milliseconds_until(lambda server=server: asks(server.port, SMALL) == body)
            samples[server.name].append((time.perf_counter() - begin) * 1000)
            stop(server.process)
    medians = show("start to first answer", samples, "ms")
    return judge(Target(f"{OURS} / nginx", medians[OURS] / medians["nginx"], 1.0))


def reload(bench):
    """From the signal to the first answer out of the new root."""
    sites = [bench.folder / name for name in ("one", "two")]
    for site in sites:
        (site / "small").mkdir(parents=True)
        (site / "small/1k.bin").write_text(site.name * 300)
    folder = bench.new_folder()
    config = folder / "httpd.toml"

    def ours(site, port):
        config.write_text(f'workers = 1\nroot = "{site}"\n')
        return [bench.programs / OURS, "--listen", f"127.0.0.1:{port}", "--config", config]

    commands = {OURS: ours, "nginx": lambda site, port: http_peers.nginx(folder, site, port)}
    samples = {name: [] for name in commands}
    with ExitStack() as running:
        servers = {}
        for name, command in commands.items():
            first = Server(name, bench.server_cpu, lambda port, command=command: command(sites[0], port))
            servers[name] = running.enter_context(first)
        for number in range(RELOADS * bench.rounds):
            for name, server in servers.items():
                site = sites[(number + 1) % 2]
                commands[name](site, server.port)
                server.process.send_signal(signal.SIGHUP)
                expected = (site / SMALL[1:]).read_bytes()
                samples[name].append(milliseconds_until(lambda: asks(server.port, SMALL) == expected))
                milliseconds_until(lambda server=server: server.count_children() == 1)  # the old generation is gone
    medians = show("reload to the new generation", samples, "ms")
    return judge(Target(f"{OURS} / nginx", medians[OURS] / medians["nginx"], 1.0))


def calls_per_request(bench, server):
    """By strace(1), of one worker: {name: calls}."""
    report = bench.folder / "calls"
    (worker,) = server.workers()
    command = ["strace", "--summary-only", "--output", str(report), "--attach", str(worker)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    tracer.stderr.readline()  # "strace: Process ... attached"
    requests, _ = bench.load(server)
    tracer.send_signal(signal.SIGINT)
    tracer.communicate(timeout=PATIENCE)
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", report.read_text(), re.MULTILINE)
    return {name: int(calls) / requests for calls, name in rows if name != "total"}


def calls(bench):
    missed = 0
    for server in (bench.ours(), bench.nginx()):
        with server:
            bench.load(server)
            found = calls_per_request(bench, server)
        most = sorted(found.items(), key=lambda item: -item[1])
        print(f"{'system calls a request':<34}{server.name:<20}", end="")
        print(", ".join(f"{name} {number:.3f}" for name, number in most if number >= 0.001), flush=True)
        if server.name == OURS:
            shared = found.pop("epoll_wait", 0) + found.pop("epoll_pwait2", 0) + found.pop("epoll_pwait", 0)
            missed += judge(Target("all but epoll_wait", sum(found.values()), 2.02), Target("epoll_wait", shared, 0.5))
    return missed


SLOW = {
    "slow headers": ["-H"],
    "slow body": ["-B", "-s", "8192"],
    "ranges": ["-R", "-a", "10", "-b", "3000"],
    "slow read": ["-X", "-k", "3", "-w", "512", "-y", "1024", "-n", "5", "-z", "32"],
}


def latencies(server, seconds):
    """Milliseconds of normal clients: each asks twice, over a connection of its own."""
    found = []
    end = time.monotonic() + seconds
    request = GET.format(SMALL).encode()
    while time.monotonic() < end:
        begin = time.perf_counter()
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
            for _ in range(2):
                client.sendall(request)
                received = client.recv(4096)
                while not received.endswith(server.small):
                    piece = client.recv(4096)
                    if not piece:
                        return [float("inf")]
                    received += piece
        found.append((time.perf_counter() - begin) * 1000)
    return found


def slow(bench):
    missed = 0
    # Of those who do not read, each has about 1 MiB waiting here, where packets are large: a few thousand use up
    # what the kernel has for all of TCP (tcp_mem, tcp(7)), whoever serves.
    connections, rate, length = 1000, 500, 3 * bench.seconds
    with bench.ours() as server:
        server.small = (bench.site / SMALL[1:]).read_bytes()
        for title, mode in SLOW.items():
            calm = latencies(server, length)
            url = server.url(LARGE if title in ("slow read", "ranges") else SMALL)
            command = ["taskset", "--cpu-list", str(bench.load_cpu), "slowhttptest", *mode, "-u", url]
            command += ["-c", str(connections), "-r", str(rate), "-i", "2", "-l", str(length + 3), "-p", "2"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as attack:
                time.sleep(connections / rate + 1)  # they are there
                attacked = latencies(server, length)
                said = attack.communicate(timeout=120)[0]
            title = f"slowhttptest {mode[0]}: {title}"
            medians = show(title, {"without": calm, "with": attacked}, "ms, connection and two requests")
            available = re.findall(r"service available:\S*\s+(YES|NO)", re.sub(r"\x1b\[[\d;]*m", "", said))
            no = available.count("NO")
            print(f"{'':<34}service available: {available.count('YES')} times YES, {no} times NO", flush=True)
            quick = Target("with / without", medians["with"] / medians["without"], 2.0)
            missed += judge(quick, Target("times not available", no, 0)) + (not available)
    return missed


ALL = {
    "idle": idle,
    "beside-idle": beside_idle,
    "crowd": crowd,
    "start": start,
    "reload": reload,
    "calls": calls,
    "strategies": strategies,
    "slow": slow,
}
