// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/mpi/engine.hpp>

#include <algorithm>
#include <set>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace engine_test {

namespace mp = multiprocessing;
using mp::mpi::Engine;

TEST_CASE("the first rank's engine knows all ranks and their workers") {
  auto const* const engine = Engine::current().load();
  REQUIRE(engine != nullptr);
  CHECK(engine->rank() == 0);
  CHECK(engine->why_not().empty());
  CHECK(static_cast<int>(engine->slots().size()) == engine->size());
  CHECK(engine->slots().front() == 0);
  CHECK(std::all_of(engine->slots().begin() + 1, engine->slots().end(),
                    [](auto slots) { return slots >= 1; }));
  std::set<int> pids;
  for (auto const& rank : engine->ranks()) pids.insert(rank.pid);
  CHECK(static_cast<int>(pids.size()) == engine->size());
}

TEST_CASE("there is one engine a process, as there is one MPI") {
  CHECK_THAT(support::message_of<mp::Error>([] { Engine another(0); }),
             ContainsSubstring("MPI is initialized already"));
  CHECK(Engine::current().load() != nullptr);
}

}  // namespace engine_test
