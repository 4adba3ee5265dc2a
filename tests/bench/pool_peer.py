#!/usr/bin/env python3
"""The figures of pool_bench, for Python's multiprocessing.Pool.

    pool_peer.py                  one line each: name, figure, unit
    pool_peer.py round-trip map   some of them
"""

import multiprocessing
import sys
import time

CALLS = 100_000
ARGUMENT = "x" * (1 << 20)


def nothing(n):
    return n


def seconds_of(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def round_trip(pool):
    calls = 3000

    def work():
        for i in range(calls):
            pool.apply(nothing, (i,))

    return seconds_of(work) / calls * 1e6, "us"


def map_unchunked(pool):
    return CALLS / seconds_of(lambda: pool.map(nothing, range(CALLS), chunksize=1)) / 1e3, "k/s"


def map_chunked(pool):
    return CALLS / seconds_of(lambda: pool.map(nothing, range(CALLS))) / 1e3, "k/s"


def large_argument(pool):
    calls = 50

    def work():
        for _ in range(calls):
            pool.apply(len, (ARGUMENT,))

    return calls / seconds_of(work), "MiB/s"


FIGURES = {
    "round-trip": round_trip,
    "map-unchunked": map_unchunked,
    "map": map_chunked,
    "1-MiB-argument": large_argument,
}


def main():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(nothing, range(1000), chunksize=1)
        for name in sys.argv[1:] or FIGURES:
            figure, unit = FIGURES[name](pool)
            print(f"{name:<20} {figure:12.3f} {unit}", flush=True)


if __name__ == "__main__":
    main()
