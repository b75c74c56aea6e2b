# SPDX-License-Identifier: BSL-1.0
"""What Python's Manager takes for the same, per operation; names as in manager.cpp."""
import multiprocessing as mp
import time


def timed(name, rounds, work):
    begin = time.perf_counter()
    for i in range(rounds):
        work(i)
    each = (time.perf_counter() - begin) / rounds
    print(f"{'python_' + name:<40} {each * 1e9:>12.1f} ns")


def main():
    with mp.Manager() as manager:
        numbers, values = manager.dict(), manager.list()
        timed("dict_set/1", 10_000, lambda i: numbers.__setitem__(i % 1024, i))
        timed("dict_get/1", 10_000, lambda i: numbers[i % 1024])
        timed("list_append", 10_000, values.append)
        timed("create", 300, lambda i: manager.list())


if __name__ == "__main__":
    main()
