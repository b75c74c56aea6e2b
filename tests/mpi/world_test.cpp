// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/mpi/world.hpp>

#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/mpi_world.hpp"

namespace world_test {

namespace mp = multiprocessing;
using namespace multiprocessing::mpi;

namespace {

Hello on(char const* host, int processors, std::uint64_t which, std::uint64_t build = 1) {
  Hello hello;
  hello.build = build;
  std::strncpy(hello.host.data(), host, hello.host.size() - 1);
  hello.processors = processors;
  hello.which_processors = which;
  return hello;
}

}  // namespace

TEST_CASE("all ranks know each other") {
  auto const& world = support::world();
  REQUIRE(static_cast<int>(world.ranks().size()) == world.size());
  auto const& me = world.ranks()[static_cast<std::size_t>(world.rank())];
  CHECK(me.pid == ::getpid());
  CHECK(me.build == Hello::build_of_this_program());
  CHECK(me.build != 0);
  CHECK(world.name() == "rank " + std::to_string(world.rank()) + " on " + me.host_name());
  CHECK(why_not(world.ranks()).empty());
}

TEST_CASE("there is one world a process") {
  CHECK_THAT(support::message_of<mp::Error>([] { World another(0); }),
             ContainsSubstring("MPI is initialized already"));
}

TEST_CASE("ranks share the processors of a host, but those that are bound have their own") {
  using Slots = std::vector<std::uint32_t>;
  CHECK(slots_of({on("a", 8, 1)}) == Slots{0});
  CHECK(slots_of({on("a", 8, 1), on("a", 8, 1)}) == Slots{0, 8});  // the first does not serve
  CHECK(slots_of({on("a", 8, 1), on("a", 8, 1), on("a", 8, 1), on("b", 6, 1)}) ==
        Slots{0, 4, 4, 6});
  CHECK(slots_of({on("a", 1, 1), on("a", 1, 2), on("a", 1, 4)}) == Slots{0, 1, 1});
  CHECK(slots_of({on("a", 2, 1), on("a", 2, 1), on("a", 2, 1), on("a", 2, 1)}) ==
        Slots{0, 1, 1, 1});
}

TEST_CASE("a rank of another build is named with its host") {
  CHECK(why_not({on("a", 1, 1), on("b", 1, 1)}).empty());
  CHECK_THAT(why_not({on("a", 1, 1), on("b", 1, 1), on("c", 1, 1, 2)}),
             ContainsSubstring("rank 2 on c runs another build of the program than rank 0 on a"));
}

}  // namespace world_test
