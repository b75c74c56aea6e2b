// SPDX-License-Identifier: BSL-1.0
// one error
// expect: multiprocessing: the members of a struct with a base class can not be found
// expect: make the base a member
// expect: kCanBeSent<Derived>
#include <multiprocessing/pickle.hpp>

#include <string>

struct Base {
  std::string name;
};
#ifdef WRONG
struct Derived : Base {
  int own;
};
#else
struct Derived {
  Base base;
  int own;
};
#endif

auto write(Derived const& derived) { return multiprocessing::dumps(derived); }
