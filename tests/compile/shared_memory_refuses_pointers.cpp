// SPDX-License-Identifier: BSL-1.0
// expect: a value of this type can not live in shared memory
#include <multiprocessing/shared_memory.hpp>

#ifdef WRONG
using Element = int*;
#else
using Element = int;
#endif

auto use(multiprocessing::SharedMemory const& memory) { return memory.as<Element>().size(); }
