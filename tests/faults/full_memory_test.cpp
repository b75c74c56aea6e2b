// SPDX-License-Identifier: BSL-1.0
// A machine without memory: who puts is told, and what was put before is there. The memory is that
// of a process of its own, which may have no more addresses.
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <utility>

#include <multiprocessing/pipe.hpp>
#include <multiprocessing/queue.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace full_memory_test {

namespace mp = multiprocessing;

namespace {

// Of these the heap takes the 2 GiB that it needs at least, of which it has 1.2 GiB to give.
constexpr rlim_t kAddresses = rlim_t{3} << 30;
constexpr std::size_t kMostOfThem = std::size_t{1} << 30;

/// Runs `test_case`, which calls this, once more by this program, where memory is short. True:
/// this is there. The name must have no comma: to the command line it is a list.
bool is_short_of_memory(char const* test_case) {
  constexpr char kProof[] = "MULTIPROCESSING_TEST_PROOF";  // a descriptor
  rlimit limit{};
  ::getrlimit(RLIMIT_AS, &limit);
  if (limit.rlim_cur == kAddresses) {
    char const here = '.';
    return ::write(std::atoi(std::getenv(kProof)), &here, 1) == 1;
  }
  support::Pipe proof;
  support::RawChild child([&] {
    limit.rlim_cur = kAddresses;
    ::setrlimit(RLIMIT_AS, &limit);
    ::setenv(kProof, std::to_string(proof.writer.get()).c_str(), 1);
    ::execl("/proc/self/exe", "tests", test_case, nullptr);
    return 127;
  });
  CHECK(child.wait() == 0);
  CHECK(proof.drain() == ".");
  return false;
}

std::string item(int number, std::size_t size) {
  auto text = std::to_string(number) + ' ';
  text.resize(size, static_cast<char>('a' + number % 26));
  return text;
}

/// How many items were put before there was no memory for another.
int put_until_full(mp::Queue<std::string> const& queue, std::size_t size) {
  for (int count = 0;; ++count) {
    auto const next = item(count, size);
    try {
      queue.put(next);
    } catch (std::bad_alloc const&) {
      return count;
    }
  }
}

}  // namespace

namespace {

void fill_and_drain(std::size_t size) {
  mp::shm::Lease const taken(kMostOfThem, mp::shm::Content::Any);
  mp::Queue<std::string> const queue;
  int const count = put_until_full(queue, size);
  CHECK(static_cast<std::size_t>(count) * size > (std::size_t{20} << 20));
  CHECK(queue.qsize() == static_cast<std::size_t>(count));
  CHECK_THROWS_AS(queue.put(item(0, size)), std::bad_alloc);
  for (int i = 0; i < count; ++i) REQUIRE(queue.get() == item(i, size));
  CHECK(queue.empty());
  int const again = put_until_full(queue, size);
  CHECK(again >= count / 2);
  for (int i = 0; i < again; ++i) REQUIRE(queue.get() == item(i, size));
}

}  // namespace

TEST_CASE("a queue that finds no memory says so and has what was put before", "[faults]") {
  if (support::kSanitized) return;  // they need addresses by the terabyte
  if (is_short_of_memory("a queue that finds no memory says so and has what was put before")) {
    fill_and_drain(8000);
  }
}

TEST_CASE("a queue that finds no memory for a block says so and has what was put before",
          "[faults]") {
  if (support::kSanitized) return;
  if (is_short_of_memory(
          "a queue that finds no memory for a block says so and has what was put before")) {
    fill_and_drain(100'000);
  }
}

TEST_CASE("a pipe that finds no memory says so and goes on", "[faults]") {
  if (support::kSanitized) return;
  if (!is_short_of_memory("a pipe that finds no memory says so and goes on")) return;
  auto const [left, right] = mp::Pipe();
  left.send(1);
  CHECK_THROWS_AS(static_cast<void>(left.loan(2 * kMostOfThem)), std::bad_alloc);
  CHECK_THROWS_AS(static_cast<void>(left.loan(SIZE_MAX / 2)), std::bad_alloc);
  left.send(2);
  CHECK(right.recv<int>() == 1);
  CHECK(right.recv<int>() == 2);
}

TEST_CASE("more than there are addresses for is refused", "[faults]") {
  auto const [left, right] = mp::Pipe();
  left.send(1);
  CHECK_THROWS_AS(static_cast<void>(left.loan(std::size_t{1} << 50)), std::bad_alloc);
  CHECK(right.recv<int>() == 1);
}

}  // namespace full_memory_test
