// SPDX-License-Identifier: BSL-1.0
// expect: a reference can not be sent to another process
// expect: kCanBeSent<std::reference_wrapper<int>
#include <functional>

#include <multiprocessing/pickle.hpp>

#ifdef WRONG
using Sent = std::reference_wrapper<int>;
#else
using Sent = int;
#endif

multiprocessing::Bytes use(Sent const& value) { return multiprocessing::dumps(value); }
