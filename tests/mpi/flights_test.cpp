// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/mpi/flights.hpp>

#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include "../support/catch.hpp"

namespace flights_test {

using multiprocessing::mpi::Flights;
using multiprocessing::work::TaskId;

TEST_CASE("a flight is found until it is taken", "[mpi]") {
  Flights flights;
  CHECK(flights.find({1, 0}) == nullptr);
  CHECK_FALSE(flights.take({1, 500}));
  flights.add({1, 500}, {.rank = 3, .bytes = 7});
  REQUIRE(flights.find({1, 500}) != nullptr);
  CHECK(flights.find({1, 500})->bytes == 7);
  CHECK(flights.find({2, 500}) == nullptr);
  CHECK(flights.take({1, 500})->rank == 3);
  CHECK_FALSE(flights.take({1, 500}));
  CHECK(flights.size() == 0);
}

TEST_CASE("those whose entry was used again are found by their generations", "[mpi]") {
  Flights flights;
  for (std::uint32_t generation : {1U, 2U, 3U}) {
    flights.add({generation, 5}, {.rank = generation, .bytes = 0});
  }
  CHECK(flights.size() == 3);
  CHECK(flights.take({3, 5})->rank == 3);
  CHECK(flights.take({1, 5})->rank == 1);
  flights.add({4, 5}, {.rank = 4, .bytes = 0});
  CHECK(flights.find({2, 5})->rank == 2);
  CHECK(flights.take_latest() == std::vector<TaskId>{{4, 5}});
  CHECK(flights.size() == 0);
  CHECK(flights.find({2, 5}) == nullptr);
}

TEST_CASE("flights are what a map of them is, in any order of events", "[mpi]") {
  std::mt19937 random(20);
  Flights flights;
  std::map<std::uint64_t, std::uint64_t> model;
  std::vector<std::uint32_t> generations(200);
  for (std::uint64_t step = 0; step < 20'000; ++step) {
    auto const index = static_cast<std::uint32_t>(random() % generations.size());
    auto& generation = generations[index];
    if (random() % 2 == 0) {
      TaskId const id{++generation, index};
      flights.add(id, {.rank = 1, .bytes = step});
      model[id.pack()] = step;
    } else {
      TaskId const id{generation - static_cast<std::uint32_t>(random() % 3), index};
      if (id.generation == 0 || id.generation > generation) continue;
      auto const found = model.find(id.pack());
      auto const taken = flights.take(id);
      REQUIRE(taken.has_value() == (found != model.end()));
      if (!taken) continue;
      REQUIRE(taken->bytes == found->second);
      model.erase(found);
    }
    REQUIRE(flights.size() == model.size());
  }
}

}  // namespace flights_test
