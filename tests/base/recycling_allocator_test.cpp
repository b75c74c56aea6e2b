// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/base/recycling_allocator.hpp>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace recycling_allocator_test {

using multiprocessing::base::RecyclingAllocator;

namespace {

/// Each number a type, with memory of its own.
template <int number>
struct Handle {
  std::uint64_t value[4] = {number, number, number, number};
};
template <int number>
std::shared_ptr<Handle<number>> make() {
  return std::allocate_shared<Handle<number>>(RecyclingAllocator<Handle<number>>());
}

}  // namespace

TEST_CASE("memory that was freed is used again, the last first", "[recycling_allocator]") {
  RecyclingAllocator<Handle<1>> allocator;
  auto* const first = allocator.allocate(1);
  auto* const second = allocator.allocate(1);
  CHECK(first != second);
  allocator.deallocate(first, 1);
  allocator.deallocate(second, 1);
  if (!allocator.kKeeps) return;
  CHECK(allocator.kept() == 2);
  CHECK(allocator.allocate(1) == second);
  CHECK(allocator.allocate(1) == first);
  CHECK(allocator.kept() == 0);
  allocator.deallocate(first, 1);
  allocator.deallocate(second, 1);
}

TEST_CASE("arrays are not kept", "[recycling_allocator]") {
  RecyclingAllocator<Handle<2>> allocator;
  allocator.deallocate(allocator.allocate(3), 3);
  CHECK(allocator.kept() == 0);
}

TEST_CASE("no more is kept than was said", "[recycling_allocator]") {
  using Allocator = RecyclingAllocator<Handle<3>>;
  Allocator allocator;
  std::vector<Handle<3>*> all(Allocator::kMostKept + 10);
  for (auto& each : all) each = allocator.allocate(1);
  for (auto* const each : all) allocator.deallocate(each, 1);
  CHECK(allocator.kept() == (Allocator::kKeeps ? Allocator::kMostKept : 0));
}

TEST_CASE("no two objects have the same memory", "[recycling_allocator][threads]") {
  constexpr int kThreads = 3;
  auto const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 20'000);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int number = 0; number < kThreads; ++number) {
    threads.emplace_back([&, number] {
      auto const mine = static_cast<std::uint64_t>(number);
      std::vector<std::shared_ptr<Handle<4>>> handles(5);
      for (long round = 0; round < rounds; ++round) {
        auto& handle = handles[static_cast<std::size_t>(round) % handles.size()];
        if (handle != nullptr && handle->value[2] != mine) ++wrong;
        handle = make<4>();
        handle->value[2] = mine;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("a child goes on with what its parent has kept", "[recycling_allocator][fork]") {
  auto kept = make<5>();
  make<5>();
  support::RawChild child([&] {
    kept.reset();
    if (make<5>()->value[3] != 5) std::abort();
  });
  CHECK(child.wait() == 0);
  CHECK(kept->value[0] == 5);
}

}  // namespace recycling_allocator_test
