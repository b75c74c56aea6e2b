// SPDX-License-Identifier: BSL-1.0
// one error
// expect: multiprocessing: this type can be neither copied nor moved
// expect: send it in a std::unique_ptr
#include <multiprocessing/pickle.hpp>

#include <atomic>
#include <memory>

#ifdef WRONG
using Sent = std::atomic<int>;
#else
using Sent = std::unique_ptr<std::atomic<int>>;
#endif

auto write(Sent const& sent) { return multiprocessing::dumps(sent); }
