# SPDX-License-Identifier: BSL-1.0
# The cases of bench/mpi.cpp that mpi4py.futures has, too.
#   mpirun -n RANKS python3 -m mpi4py.futures bench/mpi.py
import json
import time

from mpi4py import MPI
from mpi4py.futures import MPIPoolExecutor


def square(x):
    return x * x


def echo(data):
    return data


def sleep(_):
    start = time.perf_counter()
    time.sleep(0.001)
    return time.perf_counter() - start


def report(case, value, unit):
    print(json.dumps({"peer": "mpi4py", "case": case, "ranks": MPI.COMM_WORLD.Get_size(),
                      "value": value, "unit": unit}), flush=True)


def main():
    with MPIPoolExecutor() as executor:
        list(executor.map(square, range(1000)))

        calls = 5000
        start = time.perf_counter()
        for future in [executor.submit(square, i) for i in range(calls)]:
            future.result()
        report("submit", calls / (time.perf_counter() - start), "1/s")

        items = 500_000
        start = time.perf_counter()
        list(executor.map(square, range(items), chunksize=100))
        report("map", items / (time.perf_counter() - start), "1/s")

        trips = 300
        start = time.perf_counter()
        for i in range(trips):
            executor.submit(square, i).result()
        report("round_trip", (time.perf_counter() - start) / trips * 1e6, "us")

        block = bytes(1 << 20)
        blocks = 200
        start = time.perf_counter()
        for future in [executor.submit(echo, block) for _ in range(blocks)]:
            future.result()
        report("bytes", 2 * blocks * len(block) / (time.perf_counter() - start) / 1e9, "GB/s")

        workers = MPI.COMM_WORLD.Get_size() - 1
        sleeps = 500 * workers
        start = time.perf_counter()
        slept = sum(executor.map(sleep, range(sleeps)))
        report("ms_1", slept / workers / (time.perf_counter() - start) * 100, "% of the time")


if __name__ == "__main__":
    main()
