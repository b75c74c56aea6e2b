// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/callable.hpp>

#include <sys/mman.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace mp = multiprocessing;
namespace wire = multiprocessing::wire;

namespace {

int square(int x) { return x * x; }
int cube(int x) noexcept { return x * x * x; }

template <class F>
F sent(F const& callable) {
  wire::Bytes bytes;
  wire::Encoder encoder(bytes);
  wire::encode_callable(encoder, callable);
  wire::Decoder decoder(bytes);
  return wire::decode_callable<F>(decoder, multiprocessing::os::ModuleTable::now());
}

struct Functor {
  int factor;
  int operator()(int x) const { return factor * x; }
};
struct Holder {
  std::string text;
  int operator()(int x) const { return x + static_cast<int>(text.size()); }
};

static_assert(wire::Sendable<int (*)(int)> && wire::Sendable<Functor>);
static_assert(!wire::Sendable<Holder> && !wire::Sendable<std::function<int(int)>>);
static_assert(!wire::Sendable<int> && !wire::Sendable<int*>);

}  // namespace

TEST_CASE("functions, lambdas and function objects work after the journey", "[callable]") {
  int n = 10;
  CHECK(sent(&square)(5) == 25);
  CHECK(sent(&cube)(2) == 8);
  CHECK(sent([](int x) { return x + 1; })(1) == 2);
  CHECK(sent([n](int x) { return x + n; })(1) == 11);
  CHECK(sent(Functor{3})(4) == 12);
}

TEST_CASE("a function's place is the same in another process", "[callable]") {
  auto const place = wire::place_of(&square);
  CHECK(wire::function_at<int(int)>(place, multiprocessing::os::ModuleTable::now()) == &square);
  CHECK(wire::place_of(&std::abort).module != place.module);
}

TEST_CASE("code that no module holds, or a module that is not here, is an error", "[callable]") {
  void* const page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  CHECK_THAT(
      support::message_of<mp::Error>([&] { wire::place_of(reinterpret_cast<void (*)()>(page)); }),
      ContainsSubstring("no loaded module"));
  ::munmap(page, 4096);
  CHECK_THAT(support::message_of<mp::Error>(
                 [] { wire::function_at<int(int)>({.module = 1, .offset = 0}, {}); }),
             ContainsSubstring("not loaded"));
}
