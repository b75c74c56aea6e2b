// SPDX-License-Identifier: BSL-1.0
// expect: it may hide a pointer
// expect: reference or union
// expect: kCanBeSent<Number>
#include <multiprocessing/pickle.hpp>

class Number {
 public:
  constexpr Number() = default;

 private:
#ifdef WRONG
  union {
    int whole_ = 0;
    float real_;
  };
#else
  int whole_ = 0;
#endif
};

multiprocessing::Bytes use(Number const& number) { return multiprocessing::dumps(number); }
