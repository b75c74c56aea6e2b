// SPDX-License-Identifier: BSL-1.0
// one error
// expect: use std::array instead of the C array
// expect: kCanBeSent<Config>
#include <multiprocessing/pickle.hpp>

#include <array>
#include <string>

struct Config {
#ifdef WRONG
  char name[16];
  std::string text;
#else
  std::array<char, 16> name;
  std::string text;
#endif
};

auto write(Config const& config) { return multiprocessing::dumps(config); }
