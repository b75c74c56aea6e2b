// SPDX-License-Identifier: BSL-1.0
// expect: a value of this type can not be in a shared container
// expect: use std::string, arithmetic types, enumerations, std::array and plain structs of these
#include <string>

#include <multiprocessing/shared_map.hpp>

struct Entry {
  int number;
#ifdef WRONG
  char const* name;
#else
  char name[8];
#endif
};

int use(multiprocessing::SharedMap<std::string, Entry> const& map) { return map.at("x").number; }
