// SPDX-License-Identifier: BSL-1.0
// A scope for shared memory with names: they go when it ends.
#pragma once

#include <cerrno>
#include <cstddef>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/base/repr.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/log.hpp>
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
  // First what tells of names that are left: so static managers have unlinked theirs by then.
  SharedMemoryManager() { shared_memory_detail::LeftBehind::of_this_process(); }
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
  /// memory keeps it. A second time it does nothing. Blocks: while others unlink the same names, a
  /// second at most for each.
  void shutdown() noexcept {
    if (owner_ != launch::this_incarnation()) return;
    for (auto const& [name, file] : take_made()) {
      int const error = shared_memory_detail::try_unlink(name, file);
      if (error == 0 || error == ENOENT) continue;
      try {
        launch::log(LogLevel::warning, "SharedMemoryManager: the name \"", base::escape(name),
                    "\" stays: ", std::generic_category().message(error));
      } catch (std::exception const&) {  // it is not told
      }
    }
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
    if (owner_ != launch::this_incarnation()) {
      throw std::logic_error("SharedMemoryManager: it belongs to another process");
    }
    auto made = make();
    auto const& memory = memory_of(made);
    try {
      std::lock_guard const guard(mutex_);
      if (is_shut_down_) throw std::logic_error("SharedMemoryManager: it has been shut down");
      if (!memory.name().empty()) made_.add(memory.name(), memory.file_);
    } catch (...) {
      if (!memory.name().empty()) shared_memory_detail::try_unlink(memory.name(), memory.file_);
      throw;
    }
    return made;
  }

  std::vector<shared_memory_detail::Names::Given> take_made() noexcept {
    std::lock_guard const guard(mutex_);
    is_shut_down_ = true;
    return made_.take();
  }

  std::mutex mutex_;
  launch::Incarnation const owner_ = launch::this_incarnation();
  // guarded by mutex_
  bool is_shut_down_ = false;
  shared_memory_detail::Names made_;
};

}  // namespace multiprocessing
