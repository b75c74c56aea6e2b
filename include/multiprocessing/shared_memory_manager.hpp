// SPDX-License-Identifier: BSL-1.0
// A scope for shared memory with names: they go when it ends.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <exception>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/os/process.hpp>
#include <multiprocessing/shareable_list.hpp>
#include <multiprocessing/shared_memory.hpp>

namespace multiprocessing {

/// Makes shared memory and lists, and unlinks at its end those that have a name. What is made
/// without a name leaves none anyway, whoever is killed; give names only for unrelated programs.
/// Threads: all members safe, but the end of its life. Fork: the child's copy unlinks nothing.
/// Peer death: names stay when its process is killed.
/// Python: multiprocessing.managers.SharedMemoryManager. Differs: no process behind it; it is
/// started once it is there; memory has no name unless one is given.
class SharedMemoryManager {
 public:
  SharedMemoryManager() = default;
  SharedMemoryManager(SharedMemoryManager const&) = delete;
  SharedMemoryManager& operator=(SharedMemoryManager const&) = delete;
  ~SharedMemoryManager() { shutdown(); }

  /// Throws: as SharedMemory; std::logic_error after shutdown().
  multiprocessing::SharedMemory SharedMemory(std::size_t size, std::string name = {}) {
    return add([&] {
      return multiprocessing::SharedMemory({.name = std::move(name), .create = true, .size = size});
    });
  }
  /// Throws: as ShareableList; std::logic_error after shutdown().
  multiprocessing::ShareableList ShareableList(std::vector<ShareableValue> const& values,
                                               std::string name = {}) {
    return add([&] { return multiprocessing::ShareableList(values, {.name = std::move(name)}); });
  }

  /// Takes the names away; those that have been unlinked already are passed over. What has the
  /// memory keeps it. A second time it does nothing.
  void shutdown() noexcept {
    std::lock_guard const guard(mutex_);
    is_shut_down_ = true;
    if (made_by_ != os::this_pid()) return;
    for (auto const& each : made_) {
      try {
        each.unlink();
      } catch (std::exception const&) {  // it has gone
      }
    }
    made_.clear();
  }

 private:
  static multiprocessing::SharedMemory const& memory_of(
      multiprocessing::SharedMemory const& made) noexcept {
    return made;
  }
  static multiprocessing::SharedMemory const& memory_of(
      multiprocessing::ShareableList const& made) noexcept {
    return made.shm();
  }

  template <class Make>
  std::invoke_result_t<Make const&> add(Make const& make) {
    std::lock_guard const guard(mutex_);
    if (is_shut_down_) throw std::logic_error("SharedMemoryManager: it has been shut down");
    auto made = make();
    auto memory = memory_of(made);
    if (memory.name().empty()) return made;
    memory.close();  // the name is all that is needed
    try {
      made_.push_back(memory);
    } catch (std::bad_alloc const&) {
      memory.unlink();
      throw;
    }
    return made;
  }

  std::mutex mutex_;
  pid_t const made_by_ = os::this_pid();
  // guarded by mutex_
  bool is_shut_down_ = false;
  std::vector<multiprocessing::SharedMemory> made_;  // with names; closed
};

}  // namespace multiprocessing
