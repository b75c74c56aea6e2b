// SPDX-License-Identifier: BSL-1.0
// expect: this struct holds a reference, a const member
// expect: hold values, without const
// expect: kCanBeSent<Sent>
#include <string>

#include <multiprocessing/pickle.hpp>

struct Sent {
#ifdef WRONG
  std::string& text;
#else
  std::string text;
#endif
};

multiprocessing::Bytes use(Sent const& value) { return multiprocessing::dumps(value); }
