# SPDX-License-Identifier: BSL-1.0
# Medians of what scripts/bench-mpi has measured.
import json
import statistics
import sys

found = {}
with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        one = json.loads(line)
        key = one["case"], one["ranks"], one["peer"], one["unit"]
        found.setdefault(key, []).append(one["value"])
for (case, ranks, peer, unit), values in sorted(found.items()):
    print(f"{case:11} {ranks:3} ranks  {peer:7} {statistics.median(values):12.4g} {unit}"
          f"  (of {len(values)}: {min(values):.4g} to {max(values):.4g})")
