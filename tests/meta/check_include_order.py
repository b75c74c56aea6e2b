# SPDX-License-Identifier: BSL-1.0
"""No header is read by somebody who needs it while it is itself only half read: which a file of
bodies (x.ipp, included at the end of x.hpp) could do by what it includes. Whichever header is
included first.

    check_include_order.py INCLUDE_DIR
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
INCLUDE = re.compile(r"#include <(multiprocessing[^>]*)>")
BODIES = "#ifndef MULTIPROCESSING_SEPARATE_COMPILATION"  # what follows is at a header's end
included_by = {}
for path in [*root.rglob("*.hpp"), *root.rglob("*.ipp")]:
    before_end, _, end = path.read_text().partition(BODIES)
    name = str(path.relative_to(root))
    included_by[name] = (INCLUDE.findall(before_end), INCLUDE.findall(end))


def too_early(first):
    """Who includes what is only half read, if `first` is included first."""
    complete, declared, being_read, found = set(), set(), [], []

    def read(name, is_at_the_end=False):
        if name in complete:
            return
        if name in being_read:
            if name not in declared and not is_at_the_end:  # where nothing follows that needs it
                found.append((being_read[-1], name))
            return
        being_read.append(name)
        own, bodies = included_by[name]
        for each in own:
            read(each)
        declared.add(name)  # all that it declares stands before its bodies
        for each in bodies:
            read(each, is_at_the_end=True)
        being_read.pop()
        complete.add(name)

    read(first)
    return found


assert included_by, f"no headers below {root}"
faults = {
    f"{first}: {by} includes {half}, which is not yet read"
    for first in included_by
    if first.endswith(".hpp")
    for by, half in too_early(first)
    if "multiprocessing/channel/openssl.hpp" not in (by, half)  # a pair that declares first
}
if faults:
    sys.exit("\n".join(sorted(faults)))
