// SPDX-License-Identifier: BSL-1.0
// expect: a value of this type can not live in shared memory
// expect: use arithmetic types, enumerations, std::array and plain structs of these
#include <multiprocessing/value.hpp>

struct Node {
  int number;
#ifdef WRONG
  Node* next;
#else
  int next;
#endif
};

int use(multiprocessing::Value<Node> const& node) { return node.value().number; }
