# SPDX-License-Identifier: BSL-1.0
"""What Python takes for the same; names as in start.cpp. Times are of one process.

    bench/start.py [MIB...]      what is resident in the parent; default 0 and 1024
"""
import mmap
import multiprocessing as mp
import sys
import time

METHODS = ("fork", "spawn", "forkserver")
PROCESSES = 40
PAGE = 4096


def note_time(at):
    at.value = time.monotonic()


def process(context, at):
    begin = time.monotonic()
    child = context.Process(target=note_time, args=(at,))
    child.start()
    child.join()
    return time.monotonic() - begin, at.value - begin


def middle(values):
    return sorted(values)[len(values) // 2]


def timed(method, mib):
    context = mp.get_context(method)
    at = context.RawValue("d")
    process(context, at)  # starts the fork server
    samples = [process(context, at) for _ in range(PROCESSES)]
    whole, first = (middle(times) * 1e6 for times in zip(*samples))
    for name, each in ((f"{method}/{mib}", whole), (f"{method}_first/{mib}", first)):
        print(f"{'python_' + name:<40} {each:>12.1f} us", flush=True)


def resident(mib):
    """Memory in pages of 4 KiB, all of them touched."""
    memory = mmap.mmap(-1, mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for begin in range(0, len(memory), PAGE):
        memory[begin] = 1
    return memory


if __name__ == "__main__":
    for size in [int(argument) for argument in sys.argv[1:]] or [0, 1024]:
        ballast = resident(size) if size > 0 else None
        for name in METHODS:
            timed(name, size)
        del ballast
