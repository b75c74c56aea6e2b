// SPDX-License-Identifier: BSL-1.0
// expect: multiprocessing:
// expect: pointer
#include <multiprocessing/manager.hpp>

#ifdef WRONG
using Element = int*;
#else
using Element = int;
#endif

void use(multiprocessing::Manager const& manager) { manager.list<Element>(); }
