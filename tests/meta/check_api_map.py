# SPDX-License-Identifier: BSL-1.0
"""Fails when the API map leaves out a public name of this Python's multiprocessing or
concurrent.futures. Names that Python has got since 3.14 are not asked for."""
import concurrent.futures
import multiprocessing
import multiprocessing.connection
import multiprocessing.managers
import multiprocessing.pool
import multiprocessing.queues
import multiprocessing.shared_memory
import multiprocessing.sharedctypes
import multiprocessing.synchronize
import re
import sys

if sys.version_info >= (3, 15):
    print("this Python is newer than the map")
    sys.exit(0)

rows = [line for line in open(sys.argv[1]) if line.startswith("| ")]
python = " ".join(row.split(" | ")[0] for row in rows)
listed = set(re.findall(r"[\w.]+", " ".join(re.findall(r"`([^`]+)`", python))))

wanted = set(multiprocessing.__all__) | set(concurrent.futures.__all__)
wanted |= set(multiprocessing.sharedctypes.__all__)
for kind in (multiprocessing.Process, multiprocessing.pool.Pool, multiprocessing.pool.ApplyResult,
             multiprocessing.pool.IMapIterator, multiprocessing.managers.BaseManager,
             multiprocessing.managers.DictProxy, multiprocessing.managers.ListProxy,
             multiprocessing.connection.Connection, multiprocessing.connection.Listener,
             multiprocessing.shared_memory.SharedMemory,
             multiprocessing.shared_memory.ShareableList, multiprocessing.queues.Queue,
             multiprocessing.queues.SimpleQueue, multiprocessing.synchronize.Semaphore,
             multiprocessing.synchronize.Condition, multiprocessing.synchronize.Event,
             multiprocessing.synchronize.Barrier, concurrent.futures.Future,
             concurrent.futures.ProcessPoolExecutor):
    wanted |= {f"{kind.__name__}.{name}" for name in dir(kind) if not name.startswith("_")}
wanted |= {f"JoinableQueue.{name}" for name in ("join", "task_done")}
base = set(dir(multiprocessing.managers.BaseManager))
wanted |= {f"SyncManager.{name}" for name in dir(multiprocessing.managers.SyncManager)
           if not name.startswith("_") and name not in base}
wanted |= {"SharedMemoryManager.SharedMemory", "SharedMemoryManager.ShareableList"}

missing = sorted(wanted - listed)
if missing:
    sys.exit("the API map leaves out: " + ", ".join(missing))
print(f"{len(wanted)} names of Python's, all in the map")
