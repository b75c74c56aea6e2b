// SPDX-License-Identifier: BSL-1.0
// expect: send what owns the elements: std::string, std::vector or std::array
// expect: kCanBeSent<std::span<int
#include <span>
#include <vector>

#include <multiprocessing/pickle.hpp>

#ifdef WRONG
using Sent = std::span<int>;
#else
using Sent = std::vector<int>;
#endif

multiprocessing::Bytes use(Sent const& value) { return multiprocessing::dumps(value); }
