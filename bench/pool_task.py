# SPDX-License-Identifier: BSL-1.0
"""What Python's Pool and ProcessPoolExecutor take for the same; names as in pool_task.cpp."""
import concurrent.futures
import multiprocessing as mp
import os
import signal
import statistics
import time

WORKERS = os.cpu_count()


def successor(x):
    return x + 1


def echo(text):
    return text


def die(died):
    died.value = time.monotonic_ns()
    os.kill(os.getpid(), signal.SIGKILL)


def report(name, seconds, items=1):
    print(f"{name:<44} {seconds / items * 1e6:>12.2f} us")


def timed(name, work, items=1, rounds=5):
    work()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    report(name, statistics.median(times), items)


def parked(name, call):
    naps = 100
    times = []
    for _ in range(naps):
        time.sleep(0.005)
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    times.sort()
    report(name + "/p50", times[naps // 2])
    report(name + "/p99", times[naps * 99 // 100])


def measure(name, submit, call, imap):
    calls = 1000

    def pipelined():
        for result in [submit(successor, x) for x in range(calls)]:
            result()

    def one_by_one():
        for x in range(calls):
            call(successor, x)

    timed(f"{name}/pipelined/{calls}", pipelined, calls)
    timed(f"{name}/round_trip", one_by_one, calls)
    parked(f"{name}/parked", lambda: call(successor, 1))
    for size in (8, 64, 4096, 1 << 18, 1 << 24, 1 << 26):
        text = b"x" * size
        timed(f"{name}/bytes/{size}", lambda: call(echo, text), rounds=3)
    items = 10_000
    timed(f"{name}/imap/{items}", lambda: sum(imap(successor, range(items))), items, rounds=3)


def measure_death():
    """Its Pool waits for such a task for ever, so there is only the Executor."""
    died = mp.RawValue("q", 0)
    times = []
    for _ in range(20):
        with concurrent.futures.ProcessPoolExecutor(1, initializer=keep, initargs=(died,)) as pool:
            try:
                pool.submit(die_now).result()
            except concurrent.futures.process.BrokenProcessPool:
                times.append((time.monotonic_ns() - died.value) / 1e9)
    times.sort()
    report("python_executor/death/p50", times[len(times) // 2])


def keep(died):
    global kept
    kept = died


def die_now():
    die(kept)


def main():
    with mp.Pool(WORKERS) as pool:
        measure("python_pool",
                lambda f, x: pool.apply_async(f, (x,)).get,
                lambda f, x: pool.apply(f, (x,)),
                pool.imap)
    with concurrent.futures.ProcessPoolExecutor(WORKERS) as pool:
        measure("python_executor",
                lambda f, x: pool.submit(f, x).result,
                lambda f, x: pool.submit(f, x).result(),
                pool.map)
    measure_death()


if __name__ == "__main__":
    main()
