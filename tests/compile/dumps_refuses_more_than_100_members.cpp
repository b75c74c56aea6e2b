// SPDX-License-Identifier: BSL-1.0
// one error
// expect: multiprocessing: a struct of more than 100 members is not taken apart
// expect: kCanBeSent<Large>
#include <multiprocessing/pickle.hpp>

#include <string>

#define TEN(name) \
  int name##0, name##1, name##2, name##3, name##4, name##5, name##6, name##7, name##8, name##9;
struct Large {
  std::string first;
  TEN(a)
  TEN(b)
  TEN(c)
  TEN(d) TEN(e) TEN(f) TEN(g) TEN(h) TEN(i)
#ifdef WRONG
      TEN(j)
#endif
};

auto write(Large const& large) { return multiprocessing::dumps(large); }
