// SPDX-License-Identifier: BSL-1.0
// What ranks tell each other: records, any number of them in a packet.
//
//   packet = record...         record = [ RecordHead | size bytes ]
//
//   the first rank --> others  open, code, task, stop, cancel, recall, close, quit
//   others --> the first rank  result, returned, recalled, broken, ended, left
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/work/chunk.hpp>
#include <multiprocessing/work/code_table.hpp>
#include <multiprocessing/work/retry_on.hpp>
#include <multiprocessing/work/task_entry.hpp>

namespace multiprocessing::mpi {

/// All ranks run the same build, so what they tell each other is as it is in memory.
struct RecordHead {
  enum class Kind : std::uint32_t {
    open,      ///< an executor: SessionTerms, then its initializer
    code,      ///< the function of the next number: a CodePlace
    task,      ///< its input
    stop,      ///< asks a task to stop
    cancel,    ///< ends a task
    recall,    ///< asks for `count` tasks back that no worker has begun
    close,     ///< the executor's end: `count` is an Ending
    quit,      ///< the job's end
    result,    ///< of a task: bytes of a value, or of an ExceptionRecord
    returned,  ///< a task that no worker had begun
    recalled,  ///< that were all that could be returned
    broken,    ///< the executor is broken on that rank: why
    ended,     ///< its processes have ended there
    left,      ///< after quit: the last that is heard of that rank
  };

  Kind kind{};
  std::uint32_t session = 0;  ///< which executor
  work::TaskId task{};        ///< as the first rank knows it
  // Of a task.
  work::CodeNumber code = 0;
  std::uint32_t timeout_ms = 0;
  std::uint32_t grace_ms = 0;
  std::uint8_t ends_first = 0;  ///< see TaskEntry::kEndsFirst
  // Of a result.
  work::ChunkWord::Phase phase{};
  RetryOn failure{};        ///< what it is to who decides on another try; 0: no failure, or no help
  std::uint32_t count = 0;  ///< of recall, and close
  std::uint64_t size = 0;   ///< bytes that follow
};
static_assert(std::is_trivially_copyable_v<RecordHead>);

enum class Ending : std::uint32_t { finish, terminate, kill };

/// What every rank's pool is to be.
struct SessionTerms {
  std::uint32_t workers = 0;  ///< 0: as many as the rank has slots
  std::uint64_t max_tasks_per_child = UINT64_MAX;
  std::uint64_t max_memory_per_task = UINT64_MAX;
  std::uint32_t restart_intensity = UINT32_MAX;
  std::uint32_t restart_period_ms = 0;
  std::int32_t nice = 0;
  std::uint32_t has_nice = 0;
};
static_assert(std::is_trivially_copyable_v<SessionTerms>);

/// Appends a record. Throws: std::bad_alloc.
inline void write_record(wire::Bytes& packet, RecordHead head,
                         std::span<std::byte const> body = {}) {
  head.size = body.size();
  auto const* const first = reinterpret_cast<std::byte const*>(&head);
  packet.insert(packet.end(), first, first + sizeof head);
  packet.insert(packet.end(), body.begin(), body.end());
}
inline void write_record(wire::Bytes& packet, RecordHead const& head, std::string_view body) {
  write_record(packet, head, std::as_bytes(std::span(body)));
}
template <class T>
requires std::is_trivially_copyable_v<T>
void write_record_of(wire::Bytes& packet, RecordHead const& head, T const& body) {
  write_record(packet, head, std::as_bytes(std::span(&body, 1)));
}

inline std::string_view text_in(std::span<std::byte const> body) {
  return {reinterpret_cast<char const*>(body.data()), body.size()};
}

/// Takes a plain value from the front of `bytes`. Throws: Error when they end too early.
template <class T>
requires std::is_trivially_copyable_v<T> T take_plain(std::span<std::byte const>& bytes) {
  if (bytes.size() < sizeof(T)) throw Error("mpi: a packet ends within a record");
  T value;
  std::memcpy(static_cast<void*>(&value), bytes.data(), sizeof value);
  bytes = bytes.subspan(sizeof value);
  return value;
}

/// Calls `visit(RecordHead const&, std::span<std::byte const> body)` for each record, in their
/// order. Throws: Error when the packet ends too early; what `visit` does.
template <class Visit>
void for_each_record(std::span<std::byte const> packet, Visit const& visit) {
  while (!packet.empty()) {
    auto const head = take_plain<RecordHead>(packet);
    if (head.size > packet.size()) throw Error("mpi: a packet ends within a record");
    visit(head, packet.first(head.size));
    packet = packet.subspan(head.size);
  }
}

}  // namespace multiprocessing::mpi
