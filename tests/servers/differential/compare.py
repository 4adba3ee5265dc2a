#!/usr/bin/env python3
"""The same tree of files behind nginx, Apache and procpool-httpd, and one table of requests: the answers must be
the same, but for what cases.py says of each request, with the reason.

    compare.py PROCPOOL_HTTPD [--show NAME...]     exit 0: as expected; 1: each fault on a line; 77: a peer is missing

Compared are the status, the body as the client has it (decoded; ranges part by part), the fields that matter, and
whether the connection goes on: a second request is sent behind the first. What a server says in its own words, the
text of an error, is not.
"""

import argparse
import ctypes
import gzip
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urljoin

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import cases  # noqa: E402
import peers  # noqa: E402

PATIENCE = 30  # seconds for one answer
START_PATIENCE = 60
PR_SET_PDEATHSIG = 1
SKIPPED = 77
OURS = "procpool-httpd"

PROBE = b"GET /probe.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
OWN_WORDS = ["accept-ranges", "content-encoding", "content-length", "content-type", "last-modified"]  # of an error
FIELDS = [*OWN_WORDS, "allow", "content-range", "location", "vary"]
LISTS = ["allow", "vary"]


def end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Server:
    def __init__(self, name, command, port):
        self.name, self.port = name, port
        self.process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.DEVNULL, preexec_fn=end_with_parent
        )

    def __enter__(self):
        deadline = time.monotonic() + START_PATIENCE
        while not self.accepts():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                sys.exit(f"compare: {self.name} does not serve")
            time.sleep(0.02)
        self.etags = {path: self.etag(path) for path in cases.TAGGED}
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def accepts(self):
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def etag(self, path):
        answer = exchange(self, cases.Case("etag", cases.request(path)))["answers"][0]
        return answer.fields["etag"]


class Answer:
    def __init__(self, version, status, fields, body):
        self.version, self.status, self.fields, self.body = version, status, fields, body


class Ended(Exception):
    """The connection did, before an answer was complete."""


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what was answered before is still to be read

    def more(self):
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return bool(data)

    def until(self, end):
        while end not in self.buffer:
            if not self.more():
                raise Ended
        text, _, self.buffer = self.buffer.partition(end)
        return text

    def exactly(self, size):
        while len(self.buffer) < size:
            if not self.more():
                raise Ended
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def rest(self):
        while self.more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def chunks(self):
        while size := int(self.until(b"\r\n").split(b";")[0], 16):
            yield self.exactly(size)
            self.until(b"\r\n")
        while self.until(b"\r\n"):
            pass

    def answer(self, method):
        """The next one, without the interim ones (1xx) before it."""
        while True:
            line, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            version, status = line.split(" ")[:2]
            fields = {}
            for field in lines:
                name, _, value = field.partition(":")
                name, value = name.lower(), value.strip()
                fields[name] = f"{fields[name]}, {value}" if name in fields else value
            if int(status) >= 200:
                return Answer(version, int(status), fields, self.body(method, int(status), fields))

    def body(self, method, status, fields):
        if method == "HEAD" or status in (204, 304):
            return b""
        if fields.get("transfer-encoding") == "chunked":
            return b"".join(self.chunks())
        if "content-length" in fields:
            return self.exactly(int(fields["content-length"]))
        return self.rest()


def exchange(server, case):
    """What becomes of a request, and of the connection behind it."""
    data = case.data
    for path, etag in getattr(server, "etags", {}).items():
        data = data.replace(b"{etag:" + path.encode() + b"}", etag.encode())
    answers = []
    with Connection(server.port) as connection:
        connection.send(data)
        try:
            for method in case.methods:
                answers.append(connection.answer(method))
        except Ended:
            return {"answers": answers, "connection": "closes"}
        connection.send(PROBE)
        try:
            goes_on = connection.answer("GET").body == cases.FILES["probe.txt"]
            return {"answers": answers, "connection": "keeps" if goes_on else "is out of step"}
        except Ended:
            return {"answers": answers, "connection": "closes"}


def parts(answer):
    """Of multipart/byteranges: what each says, with the field names in lower case."""
    boundary = re.search(r'boundary="?([^";]+)', answer.fields["content-type"])[1].encode()
    found = []
    for part in answer.body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = sorted(line.split(b":")[0].lower() + b":" + line.split(b":")[1] for line in head.split(b"\r\n"))
        found.append((fields, content.removesuffix(b"\r\n")))
    return found


def what_counts(answer, case, port):
    """A dictionary of what must be the same."""
    seen = {name: answer.fields[name] for name in FIELDS if name in answer.fields}
    if "location" in seen:  # a reference, which a client resolves: RFC 9110 section 10.2.2
        seen["location"] = urljoin("http://localhost/", seen["location"]).replace(":%d/" % port, "/")
    seen["status"] = answer.status
    seen |= {name: sorted(set(re.split(r"\s*,\s*", seen[name].lower()))) for name in LISTS if name in seen}
    if case.shows_connection:
        seen["connection-field"] = answer.fields.get("connection", "").lower()
    if answer.status >= 300:
        return {name: value for name, value in seen.items() if name not in OWN_WORDS}
    if answer.status == 206:
        seen.pop("accept-ranges", None)  # it is one that says so: RFC 9110 section 14.3
    seen["body"] = answer.body
    if seen.get("content-encoding") == "gzip" and answer.status == 200:
        seen["body"] = gzip.decompress(answer.body) if answer.body else b""
        seen.pop("content-length", None)  # of the compressor
    if seen.get("content-type", "").startswith("multipart/byteranges"):
        seen |= {"body": parts(answer), "content-type": "multipart/byteranges"}
        seen.pop("content-length", None)  # of the boundary
    return seen


def differences(ours, other):
    """Of an answer with another status, everything else is a consequence; so is the length of another encoding."""
    found = {name for name in ours.keys() | other.keys() if ours.get(name) != other.get(name)}
    for name in list(found):
        if name.endswith("status"):
            prefix = name.removesuffix("status")
            found -= {other for other in found if other.startswith(prefix) and other not in (name, "connection")}
        if name == "content-encoding":
            found.discard("content-length")
    return found


def outcome(server, case):
    result = exchange(server, case)
    seen = {"connection": result["connection"], "answers": len(result["answers"])}
    for number, answer in enumerate(result["answers"], 1):
        prefix = f"{number}." if len(case.methods) > 1 else ""
        seen |= {prefix + name: value for name, value in what_counts(answer, case, server.port).items()}
    return seen


def short(value):
    text = repr(value)
    return text if len(text) <= 70 else text[:67] + "..."


def judge(case, ours, other, peer):
    """Lines about what is not as expected."""
    deviation = case.deviations.get(peer)
    expected = set(deviation.what) if deviation else set()
    found = differences(ours, other)
    for name in sorted(found - expected):
        yield f"{case.name}: {name}: {OURS} {short(ours.get(name))}, {peer} {short(other.get(name))}"
    for name in sorted(expected - found):
        same = short(ours.get(name))
        yield f"{case.name}: {name}: {peer} does as {OURS} ({same}), and not otherwise: {deviation.why}"


def make_site(folder):
    for path, content in cases.FILES.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (cases.MODIFIED, cases.MODIFIED))
    for path in cases.DIRECTORIES:
        (folder / path).mkdir()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--show", nargs="*", default=[], metavar="NAME", help="what each answers to these requests")
    options = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin"
    if missing := [name for name in ("nginx", "apache2") if not shutil.which(name)]:
        print(f"compare: no {' and no '.join(missing)} here: scripts/install-deps test")
        sys.exit(SKIPPED)

    table = cases.table()
    with tempfile.TemporaryDirectory(prefix="procpool.") as name, ExitStack() as running:
        folder = Path(name)
        folder.chmod(0o755)  # workers run as other users
        make_site(folder / "site")
        servers = {}
        for name, command in peers.commands(options.program).items():
            with socket.create_server(("127.0.0.1", 0)) as listener:
                port = listener.getsockname()[1]
            servers[name] = running.enter_context(Server(name, command(folder, folder / "site", port), port))
        ours = servers.pop(OURS)
        faults = []
        deviations = 0
        for case in table:
            mine = outcome(ours, case)
            theirs = {peer: outcome(server, case) for peer, server in servers.items()}
            for peer, other in theirs.items():
                faults += judge(case, mine, other, peer)
                deviations += peer in case.deviations
            if case.name in options.show:
                for server, seen in {OURS: mine, **theirs}.items():
                    print(f"{case.name}: {server}: " + ", ".join(f"{k}={short(v)}" for k, v in sorted(seen.items())))
    for fault in faults:
        print(fault)
    print(f"{len(table)} requests, {deviations} deviations that have their reasons, {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
