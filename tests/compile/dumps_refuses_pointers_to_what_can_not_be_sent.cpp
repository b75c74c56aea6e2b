// SPDX-License-Identifier: BSL-1.0
// one error
// expect: multiprocessing: this class can not be sent to another process: it is neither
// expect: kCanBeSent<std::thread>
#include <multiprocessing/pickle.hpp>

#include <memory>
#include <thread>

#ifdef WRONG
using Sent = std::unique_ptr<std::thread>;
#else
using Sent = std::unique_ptr<int>;
#endif

auto write(Sent const& sent) { return multiprocessing::dumps(sent); }
