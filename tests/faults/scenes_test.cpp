// SPDX-License-Identifier: BSL-1.0
// Whether those tests that kill at every step meet every state in which a death can leave things.
#include "../support/scenes.hpp"

#include <set>
#include <utility>

#include <multiprocessing/array.hpp>
#include <multiprocessing/lock.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace mp = multiprocessing;

namespace scenes_test {

TEST_CASE("each state that others can see is met, also inside loops", "[scenes]") {
  std::set<std::pair<int, int>> met;
  struct Twice : support::Scene {
    std::set<std::pair<int, int>>& states;
    mp::RawArray<int> numbers = mp::RawArray<int>(40);
    explicit Twice(std::set<std::pair<int, int>>& where) : states(where) {}
    void victim() {
      for (int i = 0; i < 20; ++i) {
        int volatile private_work = 0;
        for (int j = 0; j < 50; ++j) private_work = private_work + j;
        numbers[0] = i + 1;
        numbers[39] = i + 1;  // in another cache line
      }
    }
    void check() { states.insert({numbers[0], numbers[39]}); }
  };
  auto const attempts = support::kill_at_every_step(1, [&] { return Twice(met); });
  CHECK(attempts >= 41);
  CHECK(attempts < 100);  // not at those that change nothing
  for (int i = 0; i < 20; ++i) {
    CHECK(met.contains({i, i}));
    CHECK(met.contains({i + 1, i}));
  }
  CHECK(met.contains({20, 20}));
}

TEST_CASE("a lock is met held, and noted for the kernel but not taken", "[scenes]") {
  int held = 0;
  int free = 0;
  struct Hold : support::Scene {
    int& held;
    int& free;
    mp::Lock lock;
    Hold(int& h, int& f) : held(h), free(f) {}
    void victim() {
      lock.acquire();
      lock.release();
    }
    void check() {
      lock.acquire();
      ++(lock.recovered() ? held : free);
      lock.release();
    }
  };
  support::kill_at_every_step(1, [&] { return Hold(held, free); });
  CHECK(held >= 2);  // taken; on its list of locks
  CHECK(free >= 3);  // before; about to be taken, on its list already; given back
}

}  // namespace scenes_test
