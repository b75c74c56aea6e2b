// SPDX-License-Identifier: BSL-1.0
// One job of a pool as its submitter sees it: memory to fill, then the wait, then the results.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <stdexcept>
#include <string>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/launch/exit_status.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/exception.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/crew.hpp>

namespace multiprocessing::work {

/// How much a job needs of what.
struct JobSizes {
  std::uint64_t items = 0;
  std::uint64_t chunk_size = 1;
  std::uint64_t input_bytes = 0;
  bool input_is_encoded = false;  ///< then each chunk's place is in input_table()
  std::uint64_t result_bytes = 0;

  std::uint64_t chunks() const noexcept { return (items + chunk_size - 1) / chunk_size; }
};

/// Threads: one. Peer death: run() ends whoever dies.
class Job {
 public:
  /// Takes the memory. `call` is the public call that messages name.
  /// Throws: std::bad_alloc, std::length_error, and what Crew::require_open() throws.
  Job(Crew& crew, char const* call, JobSizes const& sizes, wire::CodePlace run_chunk,
      wire::Bytes const& callable)
      : crew_(crew), call_(call), sizes_(sizes) {
    if (sizes.chunks() >= UINT32_MAX) {
      throw std::length_error(std::string(call) + ": " + std::to_string(sizes.chunks()) +
                              " chunks are too many; use a larger chunksize");
    }
    allocate(callable.size());
    record_ = new (crew.segment_.data(payload_.offset)) JobRecord;
    record_->run_chunk = run_chunk;
    record_->items = sizes.items;
    record_->chunk_size = sizes.chunk_size;
    auto next = payload_.offset + shm::round_up(sizeof(JobRecord), base::kCacheLine);
    auto const place = [&](std::uint64_t bytes) {
      auto const here = next;
      next += shm::round_up(bytes, base::kCacheLine);
      return here;
    };
    record_->callable = {place(callable.size()), callable.size()};
    if (!callable.empty()) {
      std::memcpy(crew.segment_.data(record_->callable.offset), callable.data(), callable.size());
    }
    record_->chunk_results = place(sizes.chunks() * sizeof(ChunkResult));
    record_->input_table = place(table_bytes());
    record_->input = place(sizes.input_bytes);
    record_->results = place(sizes.result_bytes);
  }
  Job(Job const&) = delete;
  Job& operator=(Job const&) = delete;
  ~Job() {
    std::lock_guard const guard(crew_.mutex_);
    // Unless all chunks are settled, workers that nobody watches over any more may still write to
    // the job's memory: leave it, and the slot, as they are. The pool is broken then.
    bool const over = slot_ == nullptr || settled_ == chunks();
    if (over && slot_ != nullptr) retire();
    if (over) release();
    crew_.slot_is_free_.notify_all();
  }

  std::byte* input() const noexcept { return crew_.segment_.data(record_->input); }
  std::uint64_t* input_table() const noexcept {
    return crew_.segment_.at<std::uint64_t>(record_->input_table);
  }

  /// Blocks: until every chunk is settled. Then throws what went wrong in the first chunk where
  /// something did: the task's exception, WorkerDied, CancelledError (the pool was terminated).
  /// Throws: BrokenProcessPool, and what Crew::require_open() throws.
  void run() {
    publish();
    auto const outcome =
        slot_->settled.await([this] { return all_settled(); }, base::Deadline::never(), spin_,
                             &crew_.board_->nursery_life);
    if (outcome == sync::Waited::PeerDied) crew_.throw_broken(call_);
    for (std::uint32_t chunk = 0; chunk < chunks(); ++chunk) throw_failure_of(chunk);
  }

  std::uint32_t chunks() const noexcept { return static_cast<std::uint32_t>(sizes_.chunks()); }

  std::uint64_t items_in(std::uint32_t chunk) const noexcept {
    return std::min(sizes_.chunk_size, sizes_.items - chunk * sizes_.chunk_size);
  }

  /// Results as bytes, in order. REQUIRES: run() has returned.
  std::byte const* results() const noexcept { return crew_.segment_.data(record_->results); }

  /// Encoded results of a chunk. REQUIRES: run() has returned.
  std::span<std::byte const> encoded_results(std::uint32_t chunk) const noexcept {
    auto const& result = result_of(chunk);
    return {crew_.segment_.data(result.offset), result.size};
  }

 private:
  std::uint64_t table_bytes() const noexcept {
    return sizes_.input_is_encoded ? (sizes_.chunks() + 1) * sizeof(std::uint64_t) : 0;
  }

  void allocate(std::uint64_t callable_bytes) {
    std::uint64_t payload = 0;
    for (std::uint64_t const bytes :
         {sizeof(JobRecord), callable_bytes, sizes_.chunks() * sizeof(ChunkResult), table_bytes(),
          sizes_.input_bytes, sizes_.result_bytes}) {
      if (bytes > crew_.segment_.size()) throw std::bad_alloc();  // so that the sum can not wrap
      payload += shm::round_up(bytes, base::kCacheLine);
    }
    std::lock_guard const guard(crew_.mutex_);
    try {
      payload_ = crew_.payload_.allocate(payload);
      words_ = crew_.words_.allocate(sizes_.chunks() * sizeof(AtomicChunkWord));
    } catch (...) {
      release();
      throw;
    }
  }

  /// REQUIRES: crew_.mutex_ is held; no process uses the job.
  void release() noexcept {
    if (words_.size != 0) crew_.words_.release(words_);
    if (payload_.size != 0) crew_.payload_.release(payload_);
  }

  /// Blocks: while Board::kSlots other jobs run.
  void publish() {
    std::unique_lock lock(crew_.mutex_);
    crew_.slot_is_free_.wait(lock, [this] { return ~crew_.used_slots_ != 0 || !crew_.is_open(); });
    crew_.require_open(call_);
    auto const index = static_cast<std::size_t>(std::countr_one(crew_.used_slots_));
    crew_.used_slots_ |= std::uint64_t{1} << index;
    record_->log.room = crew_.log_of(index);
    record_->log.committed.store(crew_.log_ready_[index]);
    if (++crew_.last_generation_ == 0) ++crew_.last_generation_;
    generation_ = crew_.last_generation_;

    auto* const words = crew_.segment_.at<AtomicChunkWord>(words_.offset);
    for (std::uint32_t chunk = 0; chunk < chunks(); ++chunk) {
      auto* const word = new (words + chunk) AtomicChunkWord;
      // relaxed: pairs with nothing; the generation is published behind it
      word->store(ChunkWord{generation_, 0, ChunkWord::Phase::Free}.pack(),
                  std::memory_order_relaxed);
      new (&result_of(chunk)) ChunkResult;
    }
    slot_ = &crew_.board_->slots[index];
    // Pairs with the acquires in Board::view().
    slot_->chunk_count.store(chunks(), std::memory_order_release);
    slot_->sequence.store(++crew_.last_sequence_, std::memory_order_release);
    slot_->words.store(words_.offset, std::memory_order_release);
    slot_->record.store(payload_.offset, std::memory_order_release);
    slot_->cursor.store(std::uint64_t{generation_} << 32);
    slot_->generation.store(generation_, std::memory_order_release);
    crew_.board_->active.fetch_or(std::uint64_t{1} << index);
    lock.unlock();
    crew_.board_->work.notify_all();
  }

  /// REQUIRES: crew_.mutex_ is held.
  void retire() {
    auto const index = static_cast<std::size_t>(slot_ - crew_.board_->slots);
    crew_.log_ready_[index] = record_->log.trim(crew_.segment_);
    crew_.board_->active.fetch_and(~(std::uint64_t{1} << index));
    slot_->generation.store(0);
    crew_.used_slots_ &= ~(std::uint64_t{1} << index);
  }

  ChunkResult& result_of(std::uint32_t chunk) const noexcept {
    return crew_.segment_.at<ChunkResult>(record_->chunk_results)[chunk];
  }
  ChunkWord word_of(std::uint32_t chunk) const noexcept {
    // Settled is read, so is what was written before it was settled.
    return ChunkWord::unpack(crew_.segment_.at<AtomicChunkWord>(words_.offset)[chunk].load());
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
        wire::Decoder decoder({crew_.segment_.data(result.offset), result.size});
        wire::throw_recorded(wire::decode<wire::ExceptionRecord>(decoder));
      }
      case ChunkWord::Phase::Lost:
        throw_lost(chunk, result);
      case ChunkWord::Phase::Dropped:
        throw CancelledError(std::string(call_) + ": the pool was terminated while it ran");
      default:
        return;
    }
  }

  [[noreturn]] void throw_lost(std::uint32_t chunk, ChunkResult const& result) const {
    auto const status =
        ExitStatus::from({os::ChildEnd::State::Ended, result.end_code, result.end_status});
    auto const first = chunk * sizes_.chunk_size;
    auto const last = first + items_in(chunk) - 1;
    auto const items = first == last
                           ? "item " + std::to_string(first)
                           : "items " + std::to_string(first) + " to " + std::to_string(last);
    throw WorkerDied(std::string(call_) + ": worker process " + std::to_string(result.pid) + " " +
                         status.to_string() + " while it ran " + items + " of " +
                         std::to_string(sizes_.items),
                     result.pid, status.exitcode());
  }

  Crew& crew_;
  char const* call_;
  JobSizes sizes_;
  shm::Range payload_;
  shm::Range words_;
  JobRecord* record_ = nullptr;
  JobSlot* slot_ = nullptr;  // null until published
  std::uint32_t generation_ = 0;
  std::uint32_t settled_ = 0;  // chunks before this are settled
  sync::AdaptiveSpin spin_;
};

}  // namespace multiprocessing::work
