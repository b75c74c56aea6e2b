// SPDX-License-Identifier: BSL-1.0

#include <multiprocessing/sync/adaptive_spin.hpp>

#include <sched.h>

#include <atomic>
#include <thread>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace adaptive_spin_test {

using multiprocessing::sync::AdaptiveSpin;

TEST_CASE("a spin sees what is ready at once", "[adaptive_spin]") {
  AdaptiveSpin spin;
  int looks = 0;
  CHECK(spin([&] { return ++looks == 1; }));
  CHECK(looks == 1);
}

TEST_CASE("spins in vain get shorter, spins that pay off longer", "[adaptive_spin]") {
  AdaptiveSpin spin;
  auto const looks_in_vain = [&] {
    long looks = 0;
    CHECK_FALSE(spin([&] {
      ++looks;
      return false;
    }));
    return looks;
  };
  for (int i = 0; i < 10; ++i) looks_in_vain();
  long fewest = looks_in_vain();
  for (int i = 0; i < 20; ++i) fewest = std::min(fewest, looks_in_vain());
  long most = 0;  // of several: who loses its processor in a spin looks less often
  for (int i = 0; i < 20; ++i) {
    for (int k = 0; k < 10; ++k) CHECK(spin([] { return true; }));
    most = std::max(most, looks_in_vain());
  }
  CHECK(most > fewest);
}

TEST_CASE("a spin lets another run at once where it has run before", "[adaptive_spin]") {
  support::RawChild child([] {  // on one processor
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
    ::sched_setaffinity(0, sizeof one, &one);
    std::atomic<bool> is_done{false};
    std::thread other([&] { is_done = true; });
    AdaptiveSpin spin;
    while (!spin([&] { return is_done.load(); }, ::sched_getcpu())) {
    }
    other.join();
  });
  CHECK(child.wait() == 0);
}

}  // namespace adaptive_spin_test
