// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/sync/journaled.hpp>

#include <algorithm>
#include <array>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_shared_memory.hpp"
#include "../support/stepper.hpp"

namespace journaled_test {

using multiprocessing::sync::Journaled;

namespace {
struct alignas(8) Small {
  int a;
  int b;
};
using Large = std::array<long, 16>;
static_assert(multiprocessing::sync::kIsOneStore<Small>);
static_assert(!multiprocessing::sync::kIsOneStore<Large>);
}  // namespace

TEST_CASE("what was put in comes out", "[journaled]") {
  Journaled<Small> small({1, 2});
  CHECK(small.get().b == 2);
  small.replace({3, 4});
  CHECK(small.get().a == 3);
  Large ones;
  ones.fill(1);
  Journaled<Large> large(ones);
  CHECK(large.get() == ones);
  large.replace({});
  CHECK(large.get() == Large{});
}

TEST_CASE("a writer is killed at every step, and the value is the old or the new one",
          "[journaled][faults]") {
  long const stride =
      support::setting("MULTIPROCESSING_TEST_STRIDE", support::kSanitized ? 101 : 17);
  int changed = 0;
  auto const attempts = support::for_every_step(0, stride, [&](long n) {
    support::InSharedMemory<Journaled<Large>> const value(Large{});
    support::Pipe go;
    support::RawChild writer([&] {
      Large ones;
      ones.fill(1);
      go.hear();
      value->replace(ones);
      for (;;) ::pause();
    });
    support::wait_until_asleep(writer.pid());
    support::Stepper stepper(writer.pid());
    go.tell();
    bool const all_taken = stepper.step(n) == n;
    stepper.kill();
    auto const& now = value->get();
    REQUIRE(std::ranges::count(now, now[0]) == 16);
    changed += now[0] == 1 ? 1 : 0;
    return all_taken;
  });
  CHECK(changed > 0);
  CHECK(changed < attempts);
}

}  // namespace journaled_test
