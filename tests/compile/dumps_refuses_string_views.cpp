// SPDX-License-Identifier: BSL-1.0
// expect: what it looks at stays behind
// expect: kCanBeSent<std::basic_string_view<char
#include <string>
#include <string_view>
#include <vector>

#include <multiprocessing/pickle.hpp>

#ifdef WRONG
using Sent = std::vector<std::string_view>;
#else
using Sent = std::vector<std::string>;
#endif

multiprocessing::Bytes use(Sent const& value) { return multiprocessing::dumps(value); }
