// SPDX-License-Identifier: BSL-1.0
// A scope for shared memory with names: they go when it ends.
#pragma once

#include <sys/types.h>

#include <algorithm>
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
#include <multiprocessing/launch/log.hpp>
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
    if (made_by_ != os::this_pid()) return;
    std::vector<multiprocessing::SharedMemory> made;
    {
      std::lock_guard const guard(mutex_);
      is_shut_down_ = true;
      made.swap(made_);
    }
    for (auto const& each : made) {
      int const error = each.try_unlink();
      if (error == 0 || error == ENOENT) continue;
      try {
        launch::log(LogLevel::warning, "SharedMemoryManager: the name \"",
                    base::escape(each.name()),
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
    if (made_by_ != os::this_pid()) {
      throw std::logic_error("SharedMemoryManager: it belongs to another process");
    }
    auto made = make();
    auto const& memory = memory_of(made);
    if (memory.name().empty()) {
      std::lock_guard const guard(mutex_);
      require_running();
      return made;
    }
    try {
      std::lock_guard const guard(mutex_);
      require_running();
      forget_the_gone();
      made_.push_back(memory);
      made_.back().close();  // the name is all that is needed
    } catch (...) {
      memory.try_unlink();
      throw;
    }
    return made;
  }

  // What follows: REQUIRES mutex_.

  void require_running() const {
    if (is_shut_down_) throw std::logic_error("SharedMemoryManager: it has been shut down");
  }
  /// Of those that have been unlinked, now and then.
  void forget_the_gone() {
    if (made_.size() < next_look_) return;
    std::erase_if(made_, [](auto const& each) { return !each.has_name(); });
    next_look_ = std::max(kLeastToLookAt, 2 * made_.size());
  }
  static constexpr std::size_t kLeastToLookAt = 64;

  std::mutex mutex_;
  pid_t const made_by_ = os::this_pid();
  // guarded by mutex_
  bool is_shut_down_ = false;
  std::vector<multiprocessing::SharedMemory> made_;  // with names; closed
  std::size_t next_look_ = kLeastToLookAt;
};

}  // namespace multiprocessing
