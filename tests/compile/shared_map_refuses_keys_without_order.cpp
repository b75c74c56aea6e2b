// SPDX-License-Identifier: BSL-1.0
// expect: the keys of a SharedMap are sorted, and need an operator<
#include <compare>

#include <multiprocessing/shared_map.hpp>

struct Key {
  int number;
#ifndef WRONG
  friend auto operator<=>(Key const&, Key const&) = default;
#endif
};

int use(multiprocessing::SharedMap<Key, int> const& map) { return map.at({1}); }
