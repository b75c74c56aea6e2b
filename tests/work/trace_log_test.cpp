// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/trace_log.hpp>

#include <cstddef>
#include <memory>
#include <new>

#include "../support/catch.hpp"

namespace trace_log_test {

using namespace multiprocessing::work;

namespace {

class Log {
 public:
  explicit Log(std::uint64_t capacity)
      : bytes_(new (std::align_val_t{alignof(TraceLog)})
                   std::byte[TraceLog::bytes_for(capacity)]{}),
        log_(new (bytes_) TraceLog{.capacity = capacity}) {}
  Log(Log const&) = delete;
  Log& operator=(Log const&) = delete;
  ~Log() { ::operator delete[](bytes_, std::align_val_t{alignof(TraceLog)}); }
  TraceLog* operator->() const noexcept { return log_; }

 private:
  std::byte* bytes_;
  TraceLog* log_;
};

}  // namespace

TEST_CASE("an event is there when it is published", "[trace_log]") {
  Log const log(2);
  CHECK(log->size() == 0);
  auto* const event = log->take(3, 77);
  REQUIRE(event != nullptr);
  CHECK(event->kind == TraceEvent::Kind::None);
  TraceLog::publish(*event, TraceEvent::Kind::Task);
  CHECK(log->events()[0].kind == TraceEvent::Kind::Task);
  CHECK(log->events()[0].worker == 3);
  CHECK(log->events()[0].pid == 77);
  CHECK(log->events()[0].begin <= multiprocessing::os::monotonic_time());
  CHECK(log->events()[0].end == 0);
}

TEST_CASE("what has no room is counted", "[trace_log]") {
  Log const log(2);
  for (int i = 0; i < 5; ++i) CHECK((log->take(0, 1) != nullptr) == (i < 2));
  CHECK(log->size() == 2);
  CHECK(log->dropped() == 3);
}

}  // namespace trace_log_test
