// SPDX-License-Identifier: BSL-1.0
// What a worker shows of a job to the code of a chunk.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <multiprocessing/os/fork_detector.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/wire/archive.hpp>
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

}  // namespace multiprocessing::work
