# SPDX-License-Identifier: BSL-1.0
"""The peers python_pipe and python_queue of channel.cpp, in its cases; one measurement a run."""
import argparse
import json
import multiprocessing as mp
import os
import platform
import time

STOP = 255


def stamp(producer, number):
    return (producer << 56 | number).to_bytes(8, "little")


def read_stamp(message):
    if message[:8] != message[-8:]:
        raise RuntimeError("a message is torn")
    word = int.from_bytes(message[:8], "little")
    return word >> 56, word & ((1 << 56) - 1)


class Pipe:
    """One end each; messages are bytes."""

    def __init__(self, plan):
        self.ends = mp.Pipe()

    def open(self, side):
        end = self.ends[side]
        return end.send_bytes, end.recv_bytes


class Queue:
    def __init__(self, plan):
        self.queues = [mp.Queue(plan.depth), mp.Queue(plan.depth)]

    def open(self, side):
        return self.queues[side].put, self.queues[1 - side].get


class Messages:
    """What is sent: the stamp, at both ends of bytes that are made once."""

    def __init__(self, size):
        self.middle = bytes(max(size - 16, 0))
        self.is_short = size < 16

    def make(self, producer, number):
        ends = stamp(producer, number)
        return ends if self.is_short else b"".join((ends, self.middle, ends))


def drive(plan, send, receive, seconds, pause, fewest=0):
    samples, number = [], 0
    messages = Messages(plan.size)
    now = time.perf_counter_ns
    end = now() + seconds * 1e9
    while now() < end or number < fewest:
        number += 1
        pause()
        before = now()
        send(messages.make(0, number))
        if read_stamp(receive())[1] != number:
            raise RuntimeError("another message came back")
        samples.append(now() - before)
    return samples


def echo(plan, peer):
    send, receive = peer.open(1)
    while True:
        message = receive()
        if read_stamp(message)[0] == STOP:
            return
        send(message)


def busy(pause):
    end = time.perf_counter() + pause
    while time.perf_counter() < end:
        pass


def round_trip(plan, peer):
    child = start(echo, plan, peer)
    send, receive = peer.open(0)
    pause = {"round_trip": lambda: None,
             "parked": lambda: busy(plan.pause / 1e6),
             "parked_idle": lambda: time.sleep(plan.pause / 1e6)}[plan.case]
    if plan.case == "round_trip":
        drive(plan, send, receive, plan.seconds / 4, pause, 5)
        samples = drive(plan, send, receive, plan.seconds, pause, 5)
    else:
        drive(plan, send, receive, 0, pause, plan.parked // 20)
        samples = drive(plan, send, receive, 0, pause, plan.parked)
    send(Messages(plan.size).make(STOP, 0))
    child.join()
    samples.sort()
    result = {"samples": len(samples), "mean_ns": sum(samples) / len(samples)}
    for name, share, fewest in (("p50_ns", .5, 1), ("p99_ns", .99, 100), ("p999_ns", .999, 1000)):
        if len(samples) >= fewest:
            result[name] = samples[int(share * len(samples))]
    return result


def produce(plan, peer, index, control):
    send, _ = peer.open(0)
    messages, number = Messages(plan.size), 0
    for seconds, fewest in ((plan.seconds / 4, 2 * plan.depth), (plan.seconds, 1)):
        control.gate.wait()
        end = time.perf_counter() + seconds
        fewest += number
        while number < fewest or time.perf_counter() < end:
            number += 1
            send(messages.make(index, number))
        control.sent[index] = number
        control.gate.wait()


def consume(plan, peer, index, control):
    _, receive = peer.open(1)
    last = [0] * plan.producers
    for _ in range(2):
        control.gate.wait()
        while True:
            producer, number = read_stamp(receive())
            if producer == STOP:
                break
            if number != last[producer] + 1 if plan.consumers == 1 else number <= last[producer]:
                raise RuntimeError("messages of one producer are out of order")
            last[producer] = number
            control.sums[index] += number
            control.received[index] += 1
        control.gate.wait()


class Control:
    def __init__(self, plan):
        self.gate = mp.Barrier(plan.producers + plan.consumers + 1)
        self.sent = mp.RawArray("Q", plan.producers)
        self.received = mp.RawArray("Q", plan.consumers)
        self.sums = mp.RawArray("Q", plan.consumers)


def stream(plan, peer):
    control = Control(plan)
    children = [start(produce, plan, peer, i, control) for i in range(plan.producers)]
    children += [start(consume, plan, peer, i, control) for i in range(plan.consumers)]
    send, _ = peer.open(0)
    rate, before = 0, 0
    for seconds in (plan.seconds / 4, plan.seconds):
        control.sent[:] = [0] * plan.producers
        control.gate.wait()
        begun = time.perf_counter()
        time.sleep(seconds)
        while min(control.sent) == 0 or sum(control.received) < sum(control.sent):
            time.sleep(2e-5)
        rate = (sum(control.sent) - before) / (time.perf_counter() - begun)
        before = sum(control.sent)
        for _ in range(plan.consumers):
            send(Messages(plan.size).make(STOP, 0))
        control.gate.wait()
    for child in children:
        child.join()
    if sum(control.sums) != sum(n * (n + 1) // 2 for n in control.sent):
        raise RuntimeError("not what was sent was received")
    return {"messages_per_second": rate}


def wait_idly(plan, peer, share):
    send, receive = peer.open(1)
    send(receive())
    begun, used = time.perf_counter(), time.process_time()
    message = receive()
    share.value = (time.process_time() - used) / (time.perf_counter() - begun)
    send(message)


def idle(plan, peer):
    share = mp.RawValue("d", 0)
    child = start(wait_idly, plan, peer, share)
    send, receive = peer.open(0)
    drive(plan, send, receive, 0, lambda: None, 1)
    time.sleep(1)
    drive(plan, send, receive, 0, lambda: None, 1)
    child.join()
    return {"processor_share": share.value}


def start(target, plan, *args):
    child = mp.Process(target=spread, args=(target, plan, *args), daemon=True)
    child.start()
    return child


def spread(target, plan, *args):
    """Begin on all processors in turn."""
    go_to_processor(mp.current_process()._identity[-1], plan)
    target(plan, *args)


def go_to_processor(index, plan):
    usable = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {usable[index % len(usable)]})
    if not plan.pin:
        os.sched_setaffinity(0, usable)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--about", action="store_true")
    parser.add_argument("--peer", choices=("python_pipe", "python_queue"))
    parser.add_argument("--case")
    parser.add_argument("--size", type=int)
    parser.add_argument("--producers", type=int, default=1)
    parser.add_argument("--consumers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--parked", type=int, default=1000)
    parser.add_argument("--pause", type=int, default=2000)
    parser.add_argument("--pin", action="store_true")
    plan = parser.parse_args()
    plan.depth = min(max((16 << 20) // (plan.size or 1), 2), 1024)
    if plan.about:
        print(json.dumps({"about": "python", "value": platform.python_version()}))
        return
    mp.set_start_method("fork")
    if plan.case not in ("stream", "many"):
        go_to_processor(0, plan)  # the driver
    peer = {"python_pipe": Pipe, "python_queue": Queue}[plan.peer](plan)
    measure = {"stream": stream, "many": stream, "idle": idle}.get(plan.case, round_trip)
    print(json.dumps({"case": plan.case, "peer": plan.peer, "size": plan.size,
                      "producers": plan.producers, "consumers": plan.consumers,
                      **measure(plan, peer)}))


if __name__ == "__main__":
    main()
