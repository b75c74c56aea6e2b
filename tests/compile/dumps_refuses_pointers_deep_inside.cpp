// SPDX-License-Identifier: BSL-1.0
// expect: a raw pointer can not be sent to another process
// expect: a std::string for text
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <multiprocessing/pickle.hpp>

template <class Text>
struct Inner {
  int number;
  std::map<int, std::optional<Text>> texts;
};
template <class Text>
struct Outer {
  std::string name;
  std::vector<Inner<Text>> inner;
};

#ifdef WRONG
using Sent = Outer<char const*>;
#else
using Sent = Outer<std::string>;
#endif

multiprocessing::Bytes use(Sent const& value) { return multiprocessing::dumps(value); }
