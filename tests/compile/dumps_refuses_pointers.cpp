// SPDX-License-Identifier: BSL-1.0
// one error
// expect: multiprocessing: a raw pointer can not be sent to another process
// expect: std::unique_ptr or std::shared_ptr
// expect: kCanBeSent<int
#include <multiprocessing/pickle.hpp>

#ifdef WRONG
using Sent = int*;
#else
using Sent = std::unique_ptr<int>;
#endif

auto write(Sent const& sent) { return multiprocessing::dumps(sent); }
