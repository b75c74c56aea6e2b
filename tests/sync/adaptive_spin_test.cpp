// SPDX-License-Identifier: BSL-1.0

#include <multiprocessing/sync/adaptive_spin.hpp>

#include "../support/catch.hpp"

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
  for (int i = 0; i < 10; ++i) CHECK(spin([] { return true; }));
  CHECK(looks_in_vain() > fewest);
}
