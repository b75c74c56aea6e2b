// SPDX-License-Identifier: BSL-1.0
// one error
// expect: multiprocessing: a std::function can not be sent to another process
// expect: multiprocessing::bind(f, args...)
#include <multiprocessing/pickle.hpp>

#include <functional>

#ifdef WRONG
using Sent = std::function<int(int)>;
#else
using Sent = int (*)(int);
#endif

auto write(Sent const& sent) { return multiprocessing::dumps(sent); }
