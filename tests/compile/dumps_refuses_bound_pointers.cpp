// SPDX-License-Identifier: BSL-1.0
// one error
// expect: multiprocessing: a raw pointer can not be sent to another process
// expect: kCanBeSent<
#include <multiprocessing/pickle.hpp>

#include <string>

inline std::size_t length(std::string const& text) { return text.size(); }

auto write() {
#ifdef WRONG
  return multiprocessing::dumps(multiprocessing::bind(&length, "text"));
#else
  return multiprocessing::dumps(multiprocessing::bind(&length, std::string("text")));
#endif
}
