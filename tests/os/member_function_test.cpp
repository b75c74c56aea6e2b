// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/member_function.hpp>

#include "../support/catch.hpp"

namespace member_function_test {

namespace os = multiprocessing::os;

namespace {

struct First {
  virtual ~First() = default;
  int padding = 1;
};
struct Second {
  int number = 2;
  int plain(int x) const { return number + x; }
  virtual int overridden(int x) { return x; }
  virtual ~Second() = default;
};
struct Both : First, Second {
  int overridden(int x) override { return 10 * x; }
};

}  // namespace

TEST_CASE("virtual member functions are told from all others", "[member_function]") {
  CHECK_FALSE(os::take_apart(&Second::plain).is_virtual());
  CHECK(os::take_apart(&Second::overridden).is_virtual());
  CHECK_FALSE(os::take_apart(static_cast<int (Second::*)(int)>(nullptr)).is_virtual());
}

TEST_CASE("what is taken apart can be put together again", "[member_function]") {
  Both both;
  int (Both::*const plain)(int) const = &Both::plain;
  CHECK(os::take_apart(plain).adjustment != 0);
  auto const plain_again = os::put_together<int (Both::*)(int) const>(os::take_apart(plain));
  CHECK(plain_again == plain);
  auto const overridden =
      os::put_together<int (Second::*)(int)>(os::take_apart(&Second::overridden));
  CHECK((static_cast<Second&>(both).*overridden)(1) == 10);
  CHECK(overridden == &Second::overridden);
  using Pointer = int (Second::*)(int);
  CHECK(os::put_together<Pointer>(os::take_apart(Pointer{nullptr})) == nullptr);
}

}  // namespace member_function_test
