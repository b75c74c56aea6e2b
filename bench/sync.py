# SPDX-License-Identifier: BSL-1.0
"""What Python takes for the same; names as in sync.cpp. Times are per operation."""
import multiprocessing as mp
import time


def timed(name, rounds, work):
    begin = time.perf_counter()
    work(rounds)
    each = (time.perf_counter() - begin) / rounds
    print(f"{'python_' + name:<40} {each * 1e9:>12.1f} ns")


def pairs(lock):
    def work(rounds):
        for _ in range(rounds):
            lock.acquire()
            lock.release()
    return work


def contended(processes):
    lock, count = mp.Lock(), mp.RawValue("q", 0)

    def add(times):
        for _ in range(times):
            with lock:
                count.value += 1

    def work(rounds):
        together(processes, add, rounds // processes)
        assert count.value == rounds // processes * processes
    return work


def together(processes, target, *args):
    children = [mp.Process(target=target, args=args) for _ in range(processes)]
    for child in children:
        child.start()
    for child in children:
        child.join()


def event_ping_pong():
    ping, pong = mp.Event(), mp.Event()

    def turns(mine, theirs, times):
        for _ in range(times):
            mine.wait()
            mine.clear()
            theirs.set()

    def work(rounds):
        child = mp.Process(target=turns, args=(ping, pong, rounds // 2))
        child.start()
        ping.set()
        turns(pong, ping, rounds // 2)
        child.join()
    return work


def semaphore_ping_pong():
    ping, pong = mp.Semaphore(0), mp.Semaphore(0)

    def turns(mine, theirs, times):
        for _ in range(times):
            mine.acquire()
            theirs.release()

    def work(rounds):
        child = mp.Process(target=turns, args=(ping, pong, rounds // 2))
        child.start()
        ping.release()
        turns(pong, ping, rounds // 2)
        child.join()
    return work


def condition_ping_pong():
    condition, turn = mp.Condition(), mp.RawValue("i", 0)

    def turns(mine, times):
        for _ in range(times):
            with condition:
                condition.wait_for(lambda: turn.value == mine)
                turn.value = 1 - mine
                condition.notify()

    def work(rounds):
        child = mp.Process(target=turns, args=(1, rounds // 2))
        child.start()
        turns(0, rounds // 2)
        child.join()
    return work


def barrier_rounds(parties):
    barrier = mp.Barrier(parties)

    def wait(times):
        for _ in range(times):
            barrier.wait()
    return lambda rounds: together(parties, wait, rounds)


def event_is_set(rounds):
    event = mp.Event()
    for _ in range(rounds):
        event.is_set()


def value_update(rounds):
    value = mp.Value("q", 0)
    for _ in range(rounds):
        with value.get_lock():
            value.value += 1


if __name__ == "__main__":
    mp.set_start_method("fork")
    timed("lock_pair", 300_000, pairs(mp.Lock()))
    timed("rlock_pair", 300_000, pairs(mp.RLock()))
    timed("semaphore_pair", 300_000, pairs(mp.Semaphore(1)))
    for n in (2, 4, 8, 16):
        timed(f"lock_contended/{n}", 40_000, contended(n))
    timed("event_ping_pong", 4_000, event_ping_pong())
    timed("semaphore_ping_pong", 4_000, semaphore_ping_pong())
    timed("condition_ping_pong", 4_000, condition_ping_pong())
    for n in (2, 4, 8, 16):
        timed(f"barrier_round/{n}", 1_000, barrier_rounds(n))
    timed("event_is_set", 100_000, event_is_set)
    timed("value_update", 50_000, value_update)
