# SPDX-License-Identifier: BSL-1.0
"""What Python's Pool takes for the same, per item; names as in pool_map.cpp, without the rounds."""
import concurrent.futures
import multiprocessing as mp
import os
import statistics
import time


def successor(x):
    return x + 1


def timed(name, items, work):
    work()
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    print(f"{name:<44} {statistics.median(times) / items * 1e9:>12.1f} ns an item")


def main():
    workers = os.cpu_count()
    for count in (1_000, 100_000, 1_000_000):
        items = list(range(count))
        with mp.Pool(workers) as pool:
            timed(f"python_pool/0/{count}", count, lambda: pool.map(successor, items))
        chunk = -(-count // (4 * workers))
        with concurrent.futures.ProcessPoolExecutor(workers) as pool:
            timed(f"python_executor/0/{count}", count,
                  lambda: list(pool.map(successor, items, chunksize=chunk)))


if __name__ == "__main__":
    main()
