// SPDX-License-Identifier: BSL-1.0
// one error
// expect: multiprocessing: the function can not be called with an item of this range
#include <multiprocessing/pool.hpp>

#include <string>
#include <vector>

int length(std::string const& text);

void use(multiprocessing::Pool& pool) {
#ifdef WRONG
  static_cast<void>(pool.imap(length, std::vector{1}));
#else
  static_cast<void>(pool.imap(length, std::vector<std::string>{"text"}));
#endif
}
