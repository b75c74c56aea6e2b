// SPDX-License-Identifier: BSL-1.0
// A pool's worker process.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/launch/fork_child.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/os/fork_detector.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/code_pointer.hpp>
#include <multiprocessing/wire/exception.hpp>
#include <multiprocessing/work/board.hpp>

namespace multiprocessing::work {

/// All that the code of a chunk gets to see.
struct ChunkContext {
  shm::Segment const& segment;
  os::ModuleTable const& modules;
  os::ForkDetector const& fork_detector;
  JobRecord& job;
  std::uint32_t chunk;

  std::uint64_t first_item() const noexcept { return chunk * job.chunk_size; }
  std::uint64_t end_item() const noexcept {
    return std::min(first_item() + job.chunk_size, job.items);
  }
  ChunkResult& result() const noexcept { return segment.at<ChunkResult>(job.chunk_results)[chunk]; }

  /// To be called whenever user code has returned, before anything is written: a copy of the worker
  /// that a task has forked ends here. It has claimed nothing, and its parent goes on.
  void end_if_forked() const noexcept {
    if (fork_detector.forked()) os::exit_now(0);
  }

  /// Keeps `bytes` for the owner. Throws: std::bad_alloc.
  void record(wire::Bytes const& bytes) const {
    auto const range = job.log.take(segment, bytes.size());
    if (!bytes.empty()) std::memcpy(segment.data(range.offset), bytes.data(), bytes.size());
    result().offset = range.offset;
    result().size = range.size;
  }
};

/// Runs a chunk: decodes the items, calls the user's function, stores the results.
using RunChunk = void(ChunkContext const&);

/// Threads: one per worker number.
class Worker {
 public:
  /// Throws: std::system_error.
  Worker(shm::Segment const& segment, Board& board, os::ModuleTable const& modules,
         WorkerNumber number)
      : segment_(&segment), board_(&board), modules_(&modules), number_(number) {}

  /// Blocks: until the pool closes. Returns the exit code.
  int run() {
    for (;;) {
      // Before the claim: no job comes after the end of Open, so "nothing to claim" is final then.
      bool const closing = board_->phase.load() != Board::Phase::Open;
      if (auto const claim = board_->claim(*segment_, number_)) {
        run_claimed(*claim);
      } else if (closing) {
        return 0;
      } else {
        static_cast<void>(board_->work.await(
            [&] {
              return board_->phase.load() != Board::Phase::Open || board_->has_work(*segment_);
            },
            base::Deadline::never(), spin_));
      }
    }
  }

  /// Runs and settles a chunk. A task that ends the process settles nothing: the nursery will.
  void run_claimed(Claim const& claim) {
    ChunkContext const context{*segment_, *modules_, fork_detector_, *claim.job.record,
                               claim.chunk};
    auto phase = ChunkWord::Phase::Done;
    try {
      wire::function_at<RunChunk>(context.job.run_chunk, *modules_)(context);
    } catch (launch::ExitRequest const&) {
      throw;
    } catch (...) {
      context.end_if_forked();
      phase = ChunkWord::Phase::Failed;
      record_exception(context);
    }
    context.end_if_forked();
    Board::settle(claim, number_, phase);
  }

 private:
  static void record_exception(ChunkContext const& context) noexcept {
    context.result() = {};
    try {
      wire::Bytes bytes;
      auto record = wire::record_current_exception();
      wire::add_origin(record, {launch::identity().name, os::this_pid(), {}});
      wire::encode(bytes, record);
      context.record(bytes);
    } catch (...) {  // no memory: the empty result says so
    }
  }

  shm::Segment const* segment_;
  Board* board_;
  os::ModuleTable const* modules_;
  WorkerNumber number_;
  os::ForkDetector fork_detector_;
  sync::AdaptiveSpin spin_;
};

}  // namespace multiprocessing::work
