// SPDX-License-Identifier: BSL-1.0
// One job of a pool as its submitter sees it: memory to fill, then the wait, then the results.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <stdexcept>
#include <string>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/code_pointer.hpp>
#include <multiprocessing/wire/exception.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/worker_death.hpp>

namespace multiprocessing::work {

/// How much a job needs of what.
struct JobSizes {
  std::uint64_t items = 0;
  std::uint64_t chunk_size = 1;
  std::uint64_t input_bytes = 0;
  bool input_is_encoded = false;  ///< then each chunk's place is in input_table()
  std::uint64_t result_bytes = 0;
  // Of a part of a larger call, for messages.
  std::uint64_t first_item = 0;
  std::uint64_t items_of_call = 0;  ///< 0: it is all of the call

  std::uint64_t chunks() const noexcept { return (items + chunk_size - 1) / chunk_size; }
};

/// Threads: one. Peer death: every wait ends, whoever dies.
class Job {
 public:
  /// Takes the memory. `call` is the public call that messages name.
  /// Throws: std::bad_alloc, std::length_error.
  Job(Crew& crew, char const* call, JobSizes const& sizes, wire::CodePlace run_chunk,
      wire::Bytes const& callable)
      : crew_(crew), call_(call), sizes_(sizes) {
    if (sizes.chunks() >= UINT32_MAX) {
      throw std::length_error(std::string(call) + ": " + std::to_string(sizes.chunks()) +
                              " chunks are too many; use a larger chunksize");
    }
    memory_ = crew.take(payload_bytes(callable.size()), sizes.chunks());
    record_ = new (crew.segment().data(memory_.payload.offset)) JobRecord;
    record_->run_chunk = run_chunk;
    record_->items = sizes.items;
    record_->chunk_size = sizes.chunk_size;
    auto next = memory_.payload.offset + shm::round_up(sizeof(JobRecord), base::kCacheLine);
    auto const place = [&](std::uint64_t bytes) {
      auto const here = next;
      next += shm::round_up(bytes, base::kCacheLine);
      return here;
    };
    record_->callable = {place(callable.size()), callable.size()};
    if (!callable.empty()) {
      std::memcpy(crew.segment().data(record_->callable.offset), callable.data(), callable.size());
    }
    record_->chunk_results = place(sizes.chunks() * sizeof(ChunkResult));
    record_->input_table = place(table_bytes());
    record_->input = place(sizes.input_bytes);
    record_->results = place(sizes.result_bytes);
  }
  Job(Job const&) = delete;
  Job& operator=(Job const&) = delete;
  ~Job() {
    // Unless all chunks are settled, workers that nobody watches over any more may still write to
    // the job's memory: leave it, and the slot, as they are. The pool is broken then.
    if (slot_ == nullptr) {
      crew_.give_back(memory_);
    } else if (settled_ == chunks()) {
      crew_.retire(*slot_, memory_);
    }
  }

  std::byte* input() const noexcept { return crew_.segment().data(record_->input); }
  std::uint64_t* input_table() const noexcept {
    return crew_.segment().at<std::uint64_t>(record_->input_table);
  }

  /// Blocks: until every chunk is settled. Then throws what went wrong in the first chunk where
  /// something did: the task's exception, WorkerDied, CancelledError (the pool was terminated).
  /// Throws: BrokenProcessPool, and what Crew::require_open() throws.
  void run() {
    make_results();
    slot_ = &crew_.publish(call_, memory_, chunks());
    wait();
  }

  // The same in steps, for a call that keeps the pool open.
  /// As Crew::publish_more(). False: it has returned null, and may be asked again.
  bool publish(Crew::KeptOpen const& call, Crew::WhenFull when_full) {
    make_results();
    slot_ = crew_.publish_more(call, memory_, chunks(), when_full);
    return slot_ != nullptr;
  }
  /// Blocks, throws: as run().
  void wait() {
    if (!await_end(base::Deadline::never())) crew_.throw_broken(call_);
    for (std::uint32_t chunk = 0; chunk < chunks(); ++chunk) throw_failure_of(chunk);
  }
  /// Blocks: until every chunk is settled, whatever has gone wrong, or the deadline passes. False:
  /// that has passed, or the pool is broken.
  bool await_end(base::Deadline deadline) noexcept {
    auto const outcome = crew_.board().await(
        slot_->settled, [this] { return all_settled(); }, deadline, spin_,
        &crew_.board().nursery_life);
    if (outcome == sync::Waited::PeerDied) crew_.pass_on_death();
    return outcome == sync::Waited::Ready;
  }

  std::uint64_t items() const noexcept { return sizes_.items; }
  std::uint32_t chunks() const noexcept { return static_cast<std::uint32_t>(sizes_.chunks()); }

  std::uint64_t items_in(std::uint32_t chunk) const noexcept {
    return std::min(sizes_.chunk_size, sizes_.items - chunk * sizes_.chunk_size);
  }

  /// Results as bytes, in order. REQUIRES: run() or wait() has returned.
  std::byte const* results() const noexcept { return crew_.segment().data(record_->results); }

  /// Encoded results of a chunk. REQUIRES: run() or wait() has returned.
  std::span<std::byte const> encoded_results(std::uint32_t chunk) const noexcept {
    auto const& result = result_of(chunk);
    return {crew_.segment().data(result.offset), result.size};
  }

 private:
  void make_results() noexcept {
    for (std::uint32_t chunk = 0; chunk < chunks(); ++chunk) new (&result_of(chunk)) ChunkResult;
  }

  std::uint64_t table_bytes() const noexcept {
    return sizes_.input_is_encoded ? (sizes_.chunks() + 1) * sizeof(std::uint64_t) : 0;
  }

  std::uint64_t payload_bytes(std::uint64_t callable_bytes) const {
    std::uint64_t sum = 0;
    for (std::uint64_t const bytes :
         {sizeof(JobRecord), callable_bytes, sizes_.chunks() * sizeof(ChunkResult), table_bytes(),
          sizes_.input_bytes, sizes_.result_bytes}) {
      if (bytes > crew_.segment().size()) throw std::bad_alloc();  // so that the sum can not wrap
      sum += shm::round_up(bytes, base::kCacheLine);
    }
    return sum;
  }

  ChunkResult& result_of(std::uint32_t chunk) const noexcept {
    return crew_.segment().at<ChunkResult>(record_->chunk_results)[chunk];
  }
  ChunkWord word_of(std::uint32_t chunk) const noexcept {
    // Settled is read, so is what was written before it was settled.
    return ChunkWord::unpack(
        crew_.segment().at<AtomicChunkWord>(memory_.words.offset)[chunk].load());
  }

  bool all_settled() noexcept {
    while (settled_ < chunks() && word_of(settled_).settled()) ++settled_;
    return settled_ == chunks();
  }

  void throw_failure_of(std::uint32_t chunk) const {
    auto const& result = result_of(chunk);
    switch (word_of(chunk).phase) {
      case ChunkWord::Phase::Failed: {
        if (result.size == 0) throw std::bad_alloc();
        auto bytes = encoded_results(chunk);
        auto record = wire::decode<wire::ExceptionRecord>(bytes);
        wire::add_task(record, std::string(call_) + ", " + items_of(chunk));
        wire::throw_recorded(record);
      }
      case ChunkWord::Phase::Lost:
        throw_lost(chunk, result);
      case ChunkWord::Phase::Dropped:
        throw CancelledError(std::string(call_) + ": the pool was terminated while it ran");
      default:
        return;
    }
  }

  /// "items 3 to 5 of 10"
  std::string items_of(std::uint32_t chunk) const {
    auto const first = sizes_.first_item + chunk * sizes_.chunk_size;
    auto const last = first + items_in(chunk) - 1;
    auto const all = sizes_.items_of_call == 0 ? sizes_.items : sizes_.items_of_call;
    auto const items = first == last
                           ? "item " + std::to_string(first)
                           : "items " + std::to_string(first) + " to " + std::to_string(last);
    return items + " of " + std::to_string(all);
  }

  [[noreturn]] void throw_lost(std::uint32_t chunk, ChunkResult const& result) const {
    auto const logged = crew_.board().deaths.find(crew_.segment(), result.death);
    throw_worker_died(std::string(call_) + ", " + items_of(chunk),
                      logged.value_or(WorkerDeath{result.pid, result.end_code, result.end_status}));
  }

  // constant after construction
  Crew& crew_;
  char const* call_;
  JobSizes sizes_;
  JobMemory memory_;
  JobRecord* record_ = nullptr;

  JobSlot* slot_ = nullptr;    // null until published
  std::uint32_t settled_ = 0;  // chunks before this are settled
  sync::AdaptiveSpin spin_;
};

}  // namespace multiprocessing::work
