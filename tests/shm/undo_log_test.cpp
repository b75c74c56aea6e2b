// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/undo_log.hpp>

#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <random>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace undo_log_test {

using multiprocessing::shm::Heap;
using multiprocessing::shm::Lease;
using multiprocessing::shm::Reserved;
using multiprocessing::shm::Shared;
using multiprocessing::shm::UndoLog;

namespace {
constexpr std::uint64_t kLimit = std::uint64_t{16} << 20;
using Bytes = std::array<unsigned char, 256>;

struct Logged {
  Lease const lease{Reserved{kLimit}};
  Shared<UndoLog> const log = Shared<UndoLog>::make(0, lease.block(), kLimit);
  Shared<Bytes> const bytes = Shared<Bytes>::make(0);
};
}  // namespace

TEST_CASE("what a change has overwritten is put back", "[undo_log]") {
  Logged const it;
  auto& bytes = *it.bytes;
  bytes.fill(1);
  CHECK_FALSE(it.log->is_open());
  it.log->open(42);
  CHECK(it.log->is_open());
  CHECK(it.log->writer() == 42);
  it.log->save(&bytes[3], 5);
  std::memset(&bytes[3], 2, 5);
  it.log->save(&bytes[0], 100);  // over the first: the oldest is put back last
  std::memset(&bytes[0], 3, 100);
  it.log->note(&bytes[200]);
  std::memset(&bytes[200], 4, 8);
  it.log->save(&bytes[255], 0);
  it.log->roll_back(0);
  it.log->close();
  Bytes expected;
  expected.fill(1);
  CHECK(bytes == expected);
  CHECK_FALSE(it.log->is_open());
}

TEST_CASE("a part of a change is put back alone", "[undo_log]") {
  Logged const it;
  auto& bytes = *it.bytes;
  it.log->open(1);
  it.log->save(&bytes[0], 1);
  bytes[0] = 1;
  auto const mark = it.log->mark();
  it.log->save(&bytes[0], 2);
  bytes[0] = bytes[1] = 2;
  it.log->roll_back(mark);
  CHECK(bytes[0] == 1);
  CHECK(bytes[1] == 0);
  it.log->roll_back(0);
  CHECK(bytes[0] == 0);
  it.log->close();
}

TEST_CASE("a change that has happened is not put back", "[undo_log]") {
  Logged const it;
  it.log->open(1);
  it.log->save(it.bytes->data(), 1);
  (*it.bytes)[0] = 1;
  it.log->close();
  it.log->open(2);
  CHECK(it.log->mark() == 0);
  it.log->roll_back(0);
  CHECK((*it.bytes)[0] == 1);
  it.log->close();
}

TEST_CASE("any order of changes is put back", "[undo_log]") {
  Logged const it;
  auto& bytes = *it.bytes;
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    for (auto& byte : bytes) byte = static_cast<unsigned char>(random());
    auto const before = bytes;
    it.log->open(1);
    for (int change = 0; change < 200; ++change) {
      auto const begin = random() % bytes.size();
      auto const size = random() % (bytes.size() - begin) + 1;
      it.log->save(&bytes[begin], size);
      for (auto n = begin; n < begin + size; ++n) bytes[n] = static_cast<unsigned char>(random());
    }
    it.log->roll_back(0);
    it.log->close();
    REQUIRE(bytes == before);
  }
}

TEST_CASE("a log has room for what was asked for, or throws, and gives much back", "[undo_log]") {
  Logged const it;
  auto& arena = Heap::instance().arena();
  it.log->open(1);
  it.log->make_room(kLimit);
  auto const memory = arena.memory();
  CHECK_THROWS_AS(it.log->make_room(kLimit + 1), std::bad_alloc);
  CHECK(it.log->mark() == 0);
  it.log->close();
  CHECK(arena.memory() < memory - kLimit / 2);
  it.log->open(1);
  it.log->save(it.bytes->data(), it.bytes->size());
  it.bytes->fill(9);
  it.log->roll_back(0);
  it.log->close();
  CHECK((*it.bytes)[0] == 0);
}

TEST_CASE("another process puts back what the dead has left", "[undo_log]") {
  Logged const it;
  support::RawChild child([&] {
    it.log->open(::getpid());
    it.log->save(it.bytes->data(), it.bytes->size());
    it.bytes->fill(9);
    std::raise(SIGKILL);
  });
  auto const pid = child.pid();
  CHECK(child.exitcode() == -SIGKILL);
  CHECK(it.log->writer() == pid);
  CHECK((*it.bytes)[255] == 9);
  it.log->roll_back(0);
  CHECK((*it.bytes)[255] == 0);
}

}  // namespace undo_log_test
