"""The tree of files, the requests, and what nginx and Apache do otherwise than procpool-httpd, with the reason."""

import random
from dataclasses import dataclass, field

MODIFIED = 784111777
AT = "Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"

_words = random.Random(1)
FILES = {
    "index.html": b"<!doctype html><title>index</title>\n",
    "probe.txt": b"the connection goes on\n",
    "ten.txt": b"0123456789",
    "empty.txt": b"",
    "page.html": b"<!doctype html><title>page</title>" + b"<p>the same again and again</p>\n" * 100,
    "style.css": b"body { color: black; }\n" * 50,
    "data.json": b'{"numbers": [' + b"1, " * 500 + b"0]}\n",
    "image.png": b"\x89PNG\r\n\x1a\n" + _words.randbytes(3000),
    "noext": _words.randbytes(300),
    "large.bin": _words.randbytes(1 << 20),
    "with space.txt": b"a name with a space\n",
    "a+b.txt": b"a plus is a plus\n",
    "\N{LATIN SMALL LETTER U WITH DIAERESIS}.txt": b"a name beyond ASCII\n",
    "percent%41.txt": b"a name with a percent sign\n",
    "sub/index.html": b"<!doctype html><title>sub</title>\n",
    "sub/deep/er/file.txt": b"far down\n",
}
DIRECTORIES = ["no-index"]
TAGGED = ["/ten.txt", "/page.html"]


@dataclass
class Deviation:
    what: tuple  # the names of what differs, as compare.py says them
    why: str


@dataclass
class Case:
    name: str
    data: bytes  # {etag:PATH} stands for the server's own entity tag
    methods: tuple = ("GET",)  # of the answers that are due
    deviations: dict = field(default_factory=dict)  # by peer
    shows_connection: bool = False


def request(target, *fields, method="GET", version="HTTP/1.1", host="localhost", body=b""):
    lines = [f"{method} {target} {version}", *([f"Host: {host}"] if host is not None else []), *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def simple(name, target, *fields, method="GET", **how):
    return Case(name, request(target, *fields, method=method, **how), methods=(method,))


def files():
    for path in [
        "/",
        "/index.html",
        "/ten.txt",
        "/empty.txt",
        "/page.html",
        "/style.css",
        "/data.json",
        "/image.png",
        "/noext",
        "/large.bin",
        "/sub/",
        "/sub/deep/er/file.txt",
        "/with%20space.txt",
        "/a+b.txt",
        "/a%2Bb.txt",
        "/%C3%BC.txt",
        "/%c3%bc.txt",
        "/percent%2541.txt",
        "/t%65n.txt",
        "/ten.txt?query",
        "/ten.txt?a=%zz",
        "/nothing",
        "/nothing/",
        "/sub/nothing",
        "/ten.txt/",
        "/ten.txt/more",
        "/no-index/",
    ]:
        for method in ("GET", "HEAD"):
            yield simple(f"{method} {path}", path, method=method)


def redirections():
    for path in ["/sub", "/sub?a=b", "/sub/deep", "/no-index"]:
        for method in ("GET", "HEAD"):
            yield simple(f"{method} {path}", path, method=method)


def targets():
    for name, target in {
        "dot segment": "/./ten.txt",
        "dot segments": "/sub/../ten.txt",
        "encoded dot segments": "/sub/%2e%2e/ten.txt",
        "up and out": "/../ten.txt",
        "up and out, encoded": "/%2e%2e/%2e%2e/etc/passwd",
        "an encoded slash": "/sub%2findex.html",
        "an encoded slash behind dots": "/..%2fetc/passwd",
        "overlong UTF-8": "/%c0%af",
        "two slashes": "//ten.txt",
        "two slashes inside": "/sub//index.html",
        "a broken escape": "/%zz",
        "half an escape": "/ten.txt%4",
        "an encoded NUL": "/ten.txt%00",
        "a fragment": "/ten.txt#part",
        "a backslash": "/sub\\index.html",
        "an asterisk": "*",
        "no slash": "ten.txt",
        "absolute form": "http://localhost/ten.txt",
        "absolute form in capitals": "HTTP://LOCALHOST/ten.txt",
        "absolute form with a port": "http://localhost:80/ten.txt",
        "absolute form without a path": "http://localhost",
        "8,000 bytes": "/" + "a" * 7999,
    }.items():
        yield simple(f"target: {name}", target)
    yield simple("target: 20,000 bytes", "/" + "a" * 19999)


def hosts():
    yield simple("host: none", "/ten.txt", host=None)
    yield simple("host: none in 1.0", "/ten.txt", host=None, version="HTTP/1.0")
    yield simple("host: empty", "/ten.txt", host="")
    yield simple("host: two", "/ten.txt", "Host: other")
    yield simple("host: twice the same", "/ten.txt", "Host: localhost")
    names = ["localhost:80", "example.org", "[::1]", "[::1]:80", "127.0.0.1", "EXAMPLE.org."]
    for host in [*names, "###", "u@h", "a b", "a/b"]:
        yield simple(f"host: {host}", "/ten.txt", host=host)


def methods():
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "BREW"]:
        yield simple(f"method: {method}", "/ten.txt", "Content-Length: 0", method=method)
    yield simple("method: OPTIONS *", "*", method="OPTIONS")
    yield simple("method: CONNECT", "localhost:80", method="CONNECT")
    yield simple("method: POST of nothing there", "/nothing", "Content-Length: 0", method="POST")
    yield simple("method: POST with a body", "/ten.txt", "Content-Length: 5", method="POST", body=b"hello")
    yield simple("method: GET with a body", "/ten.txt", "Content-Length: 5", body=b"hello")
    chunked = "Transfer-Encoding: chunked"
    yield simple("method: GET with chunks", "/ten.txt", chunked, body=b"5\r\nhello\r\n0\r\n\r\n")
    yield simple("method: GET with chunks and a trailer", "/ten.txt", chunked, body=b"5\r\nhello\r\n0\r\nX: y\r\n\r\n")


def ranges():
    for value in [
        "bytes=0-4",
        "bytes=0-0",
        "bytes=5-",
        "bytes=-5",
        "bytes=-100",
        "bytes=0-9",
        "bytes=0-100",
        "bytes=9-9",
        "bytes=10-",
        "bytes=9999-",
        "bytes=-0",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=",
        "bytes",
        "bytes=0",
        "octets=0-4",
        "Bytes=0-4",
        "bytes=0-18446744073709551616",
        "bytes=18446744073709551616-",
        "bytes= 0-4",
        "bytes=0-1,8-9",
        "bytes=0-0,-1",
        "bytes=8-9,0-1",
        "bytes=0-1,4-5,8-9",
        "bytes=0-1, 4-5, 8-9",
        "bytes=0-1,20-",
        "bytes=20-,30-",
        "bytes=0-4,2-6",
        "bytes=0-4,5-9",
        "bytes=0-,0-,0-,0-",
    ]:
        yield simple(f"range: {value}", "/ten.txt", f"Range: {value}")
    yield simple("range: of an empty file", "/empty.txt", "Range: bytes=0-4")
    yield simple("range: the last of an empty file", "/empty.txt", "Range: bytes=-5")
    yield simple("range: of a large file", "/large.bin", "Range: bytes=100000-900000")
    yield simple("range: two of a large file", "/large.bin", "Range: bytes=0-99999,500000-699999")
    yield simple("range: HEAD", "/ten.txt", "Range: bytes=0-4", method="HEAD")
    yield simple("range: of nothing there", "/nothing", "Range: bytes=0-4")
    yield simple("range: in 1.0", "/ten.txt", "Range: bytes=0-4", version="HTTP/1.0")


def conditions():
    tag = "{etag:/ten.txt}"
    for name, fields in {
        "since then": [f"If-Modified-Since: {AT}"],
        "since earlier": [f"If-Modified-Since: {EARLIER}"],
        "since later": [f"If-Modified-Since: {LATER}"],
        "since, rfc850": ["If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"],
        "since, asctime": ["If-Modified-Since: Sun Nov  6 08:49:37 1994"],
        "since, rubbish": ["If-Modified-Since: yesterday"],
        "since, empty": ["If-Modified-Since:"],
        "unmodified since then": [f"If-Unmodified-Since: {AT}"],
        "unmodified since earlier": [f"If-Unmodified-Since: {EARLIER}"],
        "unmodified since later": [f"If-Unmodified-Since: {LATER}"],
        "unmodified since rubbish": ["If-Unmodified-Since: yesterday"],
        "none match": [f"If-None-Match: {tag}"],
        "none match, weak": [f"If-None-Match: W/{tag}"],
        "none match, list": [f'If-None-Match: "a", {tag}, "b"'],
        "none match, other": ['If-None-Match: "other"'],
        "none match, *": ["If-None-Match: *"],
        "none match, and since earlier": [f"If-None-Match: {tag}", f"If-Modified-Since: {EARLIER}"],
        "none match other, and since then": ['If-None-Match: "other"', f"If-Modified-Since: {AT}"],
        "match": [f"If-Match: {tag}"],
        "match, *": ["If-Match: *"],
        "match, other": ['If-Match: "other"'],
        "match, list": [f'If-Match: "a", {tag}'],
        "match, weak": [f"If-Match: W/{tag}"],
        "match, and unmodified since earlier": [f"If-Match: {tag}", f"If-Unmodified-Since: {EARLIER}"],
        "match, and none match": [f"If-Match: {tag}", f"If-None-Match: {tag}"],
        "if range, tag": ["Range: bytes=0-4", f"If-Range: {tag}"],
        "if range, weak tag": ["Range: bytes=0-4", f"If-Range: W/{tag}"],
        "if range, other tag": ["Range: bytes=0-4", 'If-Range: "other"'],
        "if range, date": ["Range: bytes=0-4", f"If-Range: {AT}"],
        "if range, earlier": ["Range: bytes=0-4", f"If-Range: {EARLIER}"],
        "if range, later": ["Range: bytes=0-4", f"If-Range: {LATER}"],
        "if range, rubbish": ["Range: bytes=0-4", "If-Range: yesterday"],
        "if range without a range": ['If-Range: "other"'],
        "range and none match": ["Range: bytes=0-4", f"If-None-Match: {tag}"],
        "range beyond, and none match": ["Range: bytes=99-", f"If-None-Match: {tag}"],
    }.items():
        yield simple(f"condition: {name}", "/ten.txt", *fields)
    yield simple("condition: HEAD, since then", "/ten.txt", f"If-Modified-Since: {AT}", method="HEAD")
    yield simple("condition: HEAD, none match", "/ten.txt", f"If-None-Match: {tag}", method="HEAD")
    yield simple("condition: of nothing there", "/nothing", 'If-Match: "a"')
    yield simple("condition: none match of nothing there", "/nothing", "If-None-Match: *")
    yield simple("condition: of a redirection", "/sub", f"If-Modified-Since: {LATER}")


def encodings():
    alone = ["gzip", "GZIP", "x-gzip", "gzip;q=0", "gzip;q=0.5", "gzip;q=1.000", "*", "*;q=0", "identity", "br", ""]
    for value in [*alone, "deflate, gzip", "gzip;q=0, *", "identity;q=0, gzip"]:
        yield simple(f"encoding: {value}", "/page.html", f"Accept-Encoding: {value}")
    for path in ["/style.css", "/data.json", "/image.png", "/large.bin", "/ten.txt", "/empty.txt"]:
        yield simple(f"encoding: gzip of {path}", path, "Accept-Encoding: gzip")
    yield simple("encoding: HEAD", "/page.html", "Accept-Encoding: gzip", method="HEAD")
    yield simple("encoding: gzip in 1.0", "/page.html", "Accept-Encoding: gzip", version="HTTP/1.0")
    yield simple("encoding: gzip and a range", "/page.html", "Accept-Encoding: gzip", "Range: bytes=0-4")
    identity = "If-None-Match: {etag:/page.html}"
    yield simple("encoding: none match of the identity", "/page.html", "Accept-Encoding: gzip", identity)


def connections():
    for name, case in {
        "1.1": simple("", "/ten.txt"),
        "1.1, close": simple("", "/ten.txt", "Connection: close"),
        "1.1, Close": simple("", "/ten.txt", "Connection: Close"),
        "1.1, keep-alive, close": simple("", "/ten.txt", "Connection: keep-alive, close"),
        "1.1, an option": simple("", "/ten.txt", "Connection: other"),
        "1.1, upgrade": simple("", "/ten.txt", "Connection: upgrade", "Upgrade: other/1"),
        "1.0": simple("", "/ten.txt", version="HTTP/1.0"),
        "1.0, keep-alive": simple("", "/ten.txt", "Connection: keep-alive", version="HTTP/1.0"),
        "1.0, close": simple("", "/ten.txt", "Connection: close", version="HTTP/1.0"),
        "1.0, keep-alive, nothing there": simple("", "/nothing", "Connection: keep-alive", version="HTTP/1.0"),
        "1.2": simple("", "/ten.txt", version="HTTP/1.2"),
    }.items():
        yield Case(f"connection: {name}", case.data, shows_connection=name.startswith("1.0"))
    three = request("/ten.txt") + request("/page.html", method="HEAD") + request("/sub/")
    yield Case("connection: pipelined", three, ("GET", "HEAD", "GET"))
    mixed = request("/ten.txt") + request("/nothing") + request("/large.bin") + request("/ten.txt", "Range: bytes=-1")
    yield Case("connection: pipelined, of all kinds", mixed, ("GET",) * 4)
    behind = request("/ten.txt", "Connection: close") + request("/ten.txt")
    yield Case("connection: pipelined behind close", behind, ("GET",) * 2)


def syntax():
    for name, data in {
        "a line break before": b"\r\n" + request("/ten.txt"),
        "bare LF": b"GET /ten.txt HTTP/1.1\nHost: localhost\n\n",
        "a folded field": request("/ten.txt", "X: a\r\n b"),
        "a space before the colon": request("/ten.txt", "X : a"),
        "a space before the first field": b"GET /ten.txt HTTP/1.1\r\n Host: localhost\r\n\r\n",
        "no colon": request("/ten.txt", "nothing"),
        "no name": request("/ten.txt", ": a"),
        "a name with brackets": request("/ten.txt", "X[]: a"),
        "a bare CR": request("/ten.txt", "X: a\rb"),
        "a NUL": request("/ten.txt", "X: a\0b"),
        "bytes beyond ASCII": request("/ten.txt", "X: \xe4"),
        "no space around a value": request("/ten.txt", "X:a"),
        "tabs around a value": request("/ten.txt", "X:\ta\t"),
        "a space in the target": b"GET /ten .txt HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "two spaces": b"GET  /ten.txt HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a tab": b"GET\t/ten.txt\tHTTP/1.1\r\nHost: localhost\r\n\r\n",
        "http/1.1": request("/ten.txt", version="http/1.1"),
        "HTTP/1": request("/ten.txt", version="HTTP/1"),
        "HTTP/01.1": request("/ten.txt", version="HTTP/01.1"),
        "HTTP/2.0": request("/ten.txt", version="HTTP/2.0"),
        "HTTP/0.9": b"GET /ten.txt\r\n\r\n",
        "no target": b"GET HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "64 KiB of fields": request("/ten.txt", *(f"X-{i}: " + "a" * 1000 for i in range(64))),
        "a field of 20,000 bytes": request("/ten.txt", "X: " + "a" * 20000),
    }.items():
        yield Case(f"syntax: {name}", data)


def framing():
    chunked = "Transfer-Encoding: chunked"
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    for name, fields, body in [
        ("length and chunks", ["Content-Length: 5", chunked], chunks),
        ("two lengths", ["Content-Length: 5", "Content-Length: 6"], b"hello"),
        ("a list of lengths", ["Content-Length: 5, 5"], b"hello"),
        ("+5", ["Content-Length: +5"], b"hello"),
        ("-1", ["Content-Length: -1"], b""),
        ("0x5", ["Content-Length: 0x5"], b"hello"),
        ("an empty length", ["Content-Length:"], b""),
        ("2^64+5", ["Content-Length: 18446744073709551621"], b"hello"),
        ("an unknown coding", ["Transfer-Encoding: other"], b""),
        ("chunked, gzip", ["Transfer-Encoding: chunked, gzip"], chunks),
        ("a vertical tab before chunked", ["Transfer-Encoding: \x0bchunked"], chunks),
        ("chunk size 0x5", [chunked], b"0x5\r\nhello\r\n0\r\n\r\n"),
        ("a chunk size beyond 2^64", [chunked], b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("a chunk without its end", [chunked], b"5\r\nhello0\r\n\r\n"),
        ("LF behind a chunk size", [chunked], b"5\nhello\r\n0\r\n\r\n"),
        ("an extension of a chunk", [chunked], b"5;a=b\r\nhello\r\n0\r\n\r\n"),
        ("a trailer called Content-Length", [chunked], b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"),
    ]:
        yield Case(f"framing: {name}", request("/ten.txt", *fields, method="POST", body=body), ("POST",))
    old = request("/ten.txt", chunked, version="HTTP/1.0", method="POST", body=chunks)
    yield Case("framing: chunks in 1.0", old, ("POST",))


def expectations():
    fields = ["Expect: 100-continue", "Content-Length: 5"]
    yield simple("expect: 100-continue", "/ten.txt", *fields, method="POST", body=b"hello")
    yield simple("expect: something else", "/ten.txt", "Expect: a-miracle")
    yield simple("expect: 100-continue of nothing", "/ten.txt", "Expect: 100-continue")


BOTH = ("nginx", "apache")
NGINX = ("nginx",)
APACHE = ("apache",)
STATUS = ("status",)
AND_CONNECTION = ("status", "connection")

# Who, in what, why we do it our way, and for which requests.
DEVIATIONS = [
    (BOTH, AND_CONNECTION, "RFC 3986 section 5.2.4: dots that lead above the root stay at the root",
     ["target: up and out", "target: up and out, encoded"]),
    (BOTH, STATUS, "RFC 3986 section 2.2: an encoded slash is data and separates nothing",
     ["target: an encoded slash"]),
    (NGINX, AND_CONNECTION, "RFC 3986 section 2.2: an encoded slash is data, and '..%2fetc' the name of no file",
     ["target: an encoded slash behind dots"]),
    (BOTH, ("connection",), "RFC 9112 section 9.3: the framing of the request is sound, so the connection persists",
     ["target: a broken escape", "target: half an escape"]),
    (NGINX, ("connection",), "RFC 9112 section 9.3: the framing of the request is sound, so the connection persists",
     ["target: an encoded NUL", "condition: unmodified since earlier", "condition: match, other",
      "condition: match, weak"]),
    (APACHE, STATUS, "RFC 9110 section 15.5.1: a name with a NUL is none, rather than one that is not found",
     ["target: an encoded NUL"]),
    (NGINX, AND_CONNECTION, "RFC 9112 section 3.2: a request target has no fragment",
     ["target: a fragment"]),
    (APACHE, STATUS,
     "RFC 9110 section 15.5.5: a name that is too long for the file system is not found, rather than forbidden",
     ["target: 8,000 bytes"]),
    (BOTH, AND_CONNECTION, "RFC 9112 section 3.2: Host is empty where the target has no authority",
     ["host: empty"]),
    (NGINX, AND_CONNECTION, "RFC 9112 section 3.2: an invalid Host is answered with 400",
     ["host: ###", "host: u@h"]),
    (NGINX, ("allow",), "RFC 9110 section 15.5.6: 405 says which methods are allowed",
     ["method: POST", "method: PUT", "method: DELETE", "method: PATCH", "method: POST with a body",
      "framing: an extension of a chunk", "framing: a trailer called Content-Length"]),
    (APACHE, STATUS, "RFC 9110 section 9.3.3: a file does not process what is posted to it",
     ["method: POST", "method: POST with a body", "framing: an extension of a chunk",
      "framing: a trailer called Content-Length"]),
    (APACHE, ("allow",), "RFC 9110 section 10.2.1: POST is not among what a file supports",
     ["method: PUT", "method: DELETE", "method: PATCH"]),
    (BOTH, STATUS, "RFC 9110 section 9.3.7: OPTIONS on a file is answered, and 204 has no content",
     ["method: OPTIONS"]),
    (NGINX, STATUS, "RFC 9110 section 15.6.2: a method that is not implemented is 501",
     ["method: TRACE", "method: get", "method: CONNECT"]),
    (APACHE, AND_CONNECTION, "RFC 9110 section 15.6.2: a method that is not implemented is 501",
     ["method: TRACE", "method: CONNECT"]),
    (APACHE, ("allow",), "RFC 9110 section 10.2.1: Allow belongs to 405, and is for those who know the method",
     ["method: get", "method: BREW"]),
    (NGINX, AND_CONNECTION,
     "RFC 9110 section 15.6.2: a method that is not known is 501; what follows it is not guessed",
     ["method: BREW"]),
    (NGINX, AND_CONNECTION, "RFC 9112 section 3.2.4: OPTIONS * is of the server as a whole",
     ["method: OPTIONS *"]),
    (APACHE, STATUS, "RFC 9110 section 9.3.7: OPTIONS is answered; 204 says by itself that there is no content",
     ["method: OPTIONS *"]),
    (BOTH, STATUS, "RFC 9110 section 15.5.6: no path takes POST, whether there is a file or not",
     ["method: POST of nothing there"]),
    (APACHE, ("content-length",), "RFC 9110 section 9.3.2: HEAD should say what GET would",
     ["HEAD /empty.txt"]),
    (APACHE, ("content-range",), "RFC 9110 section 15.5.17: 416 should say how long the file is",
     ["range: bytes=10-", "range: bytes=9999-", "range: bytes=20-,30-"]),
    (APACHE, STATUS, "RFC 9110 section 14.1.2: a suffix of no bytes is unsatisfiable",
     ["range: bytes=-0"]),
    (NGINX, STATUS, "RFC 9110 section 14.1.1: a Range that is invalid is none",
     ["range: bytes=5-2", "range: bytes=a-b", "range: bytes=0"]),
    (BOTH, STATUS, "RFC 9110 section 14.1.2: a last position beyond the end, however large, is the end",
     ["range: bytes=0-18446744073709551616"]),
    (APACHE, STATUS, "RFC 9110 section 15.5.17: a first position beyond the end, however large, is unsatisfiable",
     ["range: bytes=18446744073709551616-"]),
    (APACHE, STATUS, "RFC 9110 section 5.6.1.2: white space around the members of a list is no fault",
     ["range: bytes=0-1, 4-5, 8-9"]),
    (APACHE, STATUS, "RFC 9110 section 14.2: a Range may be ignored, but one that can be understood need not be",
     ["range: bytes= 0-4"]),
    (NGINX, ("body", "content-length", "content-range", "content-type"),
     "RFC 9110 section 15.3.7.2: overlapping ranges are joined, so that no byte is sent twice",
     ["range: bytes=0-4,2-6"]),
    (APACHE, ("body", "content-length", "content-range", "content-type"),
     "RFC 9110 section 15.3.7.2: ranges that do not overlap are sent as they were asked for",
     ["range: bytes=0-4,5-9"]),
    (NGINX, STATUS, "RFC 9110 section 15.3.7.2: overlapping ranges are joined, to one",
     ["range: bytes=0-,0-,0-,0-"]),
    (BOTH, STATUS, "RFC 9110 section 14.2: Range is defined for GET only",
     ["range: HEAD"]),
    (NGINX, STATUS, "RFC 9110 section 13.1.3: what is not newer than the date has not been modified since",
     ["condition: since later"]),
    (NGINX, AND_CONNECTION, "RFC 9110 section 13.1.4: what is no date is ignored",
     ["condition: unmodified since rubbish"]),
    (BOTH, STATUS, "RFC 9110 section 13.1.3: with If-None-Match, If-Modified-Since is ignored",
     ["condition: none match, and since earlier"]),
    (NGINX, AND_CONNECTION, "RFC 9110 section 13.1.4: with If-Match, If-Unmodified-Since is ignored",
     ["condition: match, and unmodified since earlier"]),
    (APACHE, STATUS, "RFC 9110 section 13.1.4: with If-Match, If-Unmodified-Since is ignored",
     ["condition: match, and unmodified since earlier"]),
    (NGINX, ("accept-ranges",), "RFC 9110 section 14.3: what is kept compressed has ranges, and says so",
     ["encoding: gzip", "encoding: GZIP", "encoding: gzip;q=0.5", "encoding: gzip;q=1.000",
      "encoding: deflate, gzip", "encoding: identity;q=0, gzip", "encoding: gzip of /style.css",
      "encoding: gzip of /data.json", "encoding: HEAD", "encoding: gzip in 1.0"]),
    (NGINX, STATUS, "RFC 9110 section 14.2: a range is of the selected representation, which is the compressed one",
     ["encoding: gzip and a range"]),
    (BOTH, ("content-encoding",), "RFC 9110 section 8.4.1.3: x-gzip is gzip",
     ["encoding: x-gzip"]),
    (BOTH, ("content-encoding",), "RFC 9110 section 12.5.3: * is any coding that is not named",
     ["encoding: *"]),
    (BOTH, STATUS, "RFC 9110 section 8.8.3.3: the compressed representation has a tag of its own",
     ["encoding: none match of the identity"]),
    (NGINX, AND_CONNECTION, "RFC 9112 section 2.2: a line that ends in LF alone may be refused",
     ["syntax: bare LF"]),
    (APACHE, AND_CONNECTION, "RFC 9112 section 5.2: a folded field is refused",
     ["syntax: a folded field"]),
    (NGINX, AND_CONNECTION, "RFC 9112 section 5: a field has a token as its name, and a colon",
     ["syntax: no colon", "syntax: a name with brackets"]),
    (NGINX, AND_CONNECTION, "RFC 9112 section 3: one space stands between the parts of the request line",
     ["syntax: two spaces"]),
    (APACHE, AND_CONNECTION, "RFC 9110 section 15.6.6: another major version is 505",
     ["syntax: HTTP/2.0"]),
    (BOTH, STATUS, "RFC 9112 section 2.3: HTTP/0.9 is no version of this protocol",
     ["syntax: HTTP/0.9"]),
    (NGINX, STATUS, "RFC 6585 section 5: too much in the fields is 431",
     ["syntax: 64 KiB of fields"]),
    (APACHE, AND_CONNECTION, "RFC 6585 section 5: too much in the fields is 431",
     ["syntax: 64 KiB of fields"]),
    (BOTH, AND_CONNECTION, "RFC 9110 section 5.4: there is no limit to one field but that of all",
     ["syntax: a field of 20,000 bytes"]),
    (APACHE, STATUS, "RFC 9112 section 6.1: a length beside chunks may be an attack and is refused",
     ["framing: length and chunks"]),
    (APACHE, STATUS, "RFC 9112 section 6.1: a coding that is not known is 501",
     ["framing: an unknown coding"]),
    (NGINX, STATUS, "RFC 9112 section 6.3: without chunked as the last coding, the length cannot be told: 400",
     ["framing: chunked, gzip"]),
    (NGINX, STATUS, "RFC 9110 section 5.5: a control character makes a value invalid",
     ["framing: a vertical tab before chunked"]),
    (NGINX, STATUS, "RFC 9112 section 7.1: chunks that are broken are 400, whatever the method would be answered",
     ["framing: chunk size 0x5", "framing: a chunk size beyond 2^64", "framing: a chunk without its end"]),
    (NGINX, AND_CONNECTION, "RFC 9112 section 7.1: a chunk size ends in CRLF",
     ["framing: LF behind a chunk size"]),
    (APACHE, STATUS, "RFC 9112 section 7.1: a chunk size that overflows is broken",
     ["framing: a chunk size beyond 2^64"]),
    (APACHE, STATUS, "RFC 9112 section 6.1: chunks in HTTP/1.0 are a faulty framing",
     ["framing: chunks in 1.0"]),
    (NGINX, ("allow", "connection"),
     "RFC 9110 section 10.1.1: a final answer instead of 100 may close, since the body may come or not",
     ["expect: 100-continue"]),
    (APACHE, AND_CONNECTION,
     "RFC 9110 section 10.1.1: a final answer instead of 100 may close, since the body may come or not",
     ["expect: 100-continue"]),
    (NGINX, AND_CONNECTION, "RFC 9110 section 10.1.1: an expectation that cannot be met is 417",
     ["expect: something else"]),
    (APACHE, ("connection",), "RFC 9110 section 10.1.1: without content there is nothing to expect",
     ["expect: 100-continue of nothing"]),
]


def deviations_of(name):
    """By peer."""
    found = {}
    for who, what, why, names in DEVIATIONS:
        for peer in who if name in names else ():
            known = found.get(peer, Deviation((), ""))
            found[peer] = Deviation(known.what + what, "; ".join(filter(None, (known.why, why))))
    return found


def table():
    """Every request; a deviation of one that is not there is a mistake."""
    kinds = [files, redirections, targets, hosts, methods, ranges, conditions, encodings]
    kinds += [connections, syntax, framing, expectations]
    cases = [case for kind in kinds for case in kind()]
    names = [case.name for case in cases]
    if len(set(names)) < len(names):
        raise ValueError(f"called the same: {sorted({name for name in names if names.count(name) > 1})}")
    if unknown := {name for *_, said in DEVIATIONS for name in said} - set(names):
        raise ValueError(f"deviations of no request: {sorted(unknown)}")
    for case in cases:
        case.deviations = deviations_of(case.name)
    return cases
