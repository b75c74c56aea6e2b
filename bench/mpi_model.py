# SPDX-License-Identifier: BSL-1.0
"""How far one first rank carries: see docs/design/0019-mpi.md.

R ranks with W workers each do tasks of length t. The first rank looks again and again; a look takes
all packets that have come, p each, and all results in them, c each, and hands out as many tasks. A
rank holds H tasks: one for each worker, and ahead of that the work of 4 ms, a task at least. While
a look, of T, is shorter than a rank needs for what it holds, workers never wait; where the looks
would be longer, each rank has done H tasks by then, in one packet, and the first rank is the limit:
H tasks for p + H c.
"""
import math

TASK = 1.5e-6    # c: of the first rank's processor, measured with packets of many tasks
PACKET = 20e-6   # p: measured where each packet has one task, so an upper bound
AHEAD = 4e-3
WORKERS = 64


def throughput(ranks, length):
    """Tasks a second."""
    demand = ranks * WORKERS / length
    held = WORKERS + max(1.0, AHEAD * WORKERS / length)
    limit = held / (PACKET + held * TASK)
    look = 1e-6
    for _ in range(100_000):  # to the fixed point, if there is one
        if look * WORKERS / length > held:
            return min(demand, limit)
        packets = ranks * (1 - math.exp(-WORKERS * look / length))
        following = max(1e-6, packets * PACKET + demand * look * TASK)
        if abs(following - look) < 1e-6 * look:
            break
        look = following
    return demand


def main():
    lengths = [1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100]
    print(f"{WORKERS} workers a rank; tasks/s and share of the workers' time, by length of a task")
    print("ranks   " + "".join(f"{length:>20g} s" for length in lengths))
    for ranks in [1, 10, 100, 1000, 10_000]:
        cells = []
        for length in lengths:
            done = throughput(ranks, length)
            share = done * length / (ranks * WORKERS)
            cells.append(f"{done:>13.3g} {share * 100:>5.1f} %")
        print(f"{ranks:6}  " + "  ".join(cells))


if __name__ == "__main__":
    main()
