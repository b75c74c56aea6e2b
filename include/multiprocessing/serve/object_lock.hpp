// SPDX-License-Identifier: BSL-1.0
// Who may use an object of a server: one thread after the other, and never two that wait for each
// other.
//
//   thread A --owner_of--> ObjectLock 1            A has 1 and waits for 2: A.waits_for = 2
//   thread B --owner_of--> ObjectLock 2            B has 2 and wants 1: 1's owner A waits for 2,
//                                                  whose owner is B: EDEADLK
#pragma once

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <string_view>

#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::serve {

/// Lockable, by the threads of one process.
class ObjectLock {
 public:
  ObjectLock() = default;
  ObjectLock(ObjectLock const&) = delete;
  ObjectLock& operator=(ObjectLock const&) = delete;

  /// Blocks: until nobody else has it. Throws: std::system_error (resource_deadlock_would_occur)
  /// when this thread has it, or somebody who has it waits for what this thread has.
  void lock() {
    auto& me = this_thread();
    std::unique_lock guard(graph());
    if (owner_ != nullptr) {
      for (ObjectLock const* lock = this; lock != nullptr; lock = lock->owner_->waits_for) {
        if (lock->owner_ == nullptr) break;
        if (lock->owner_ == &me) throw_deadlock();
      }
      me.waits_for = this;
      released_.wait(guard, [this] { return owner_ == nullptr; });
      me.waits_for = nullptr;
    }
    owner_ = &me;
  }

  /// REQUIRES: this thread has it.
  void unlock() {
    std::lock_guard const guard(graph());
    owner_ = nullptr;
    released_.notify_one();
  }

 private:
  struct Thread {
    ObjectLock const* waits_for = nullptr;
  };

  /// Guards who has what and waits for what; held for a moment each time.
  static std::mutex& graph() noexcept {
    static constinit std::mutex mutex;
    return mutex;
  }
  static Thread& this_thread() noexcept {
    static thread_local constinit Thread thread;
    return thread;
  }
  [[noreturn]] static void throw_deadlock() {
    os::throw_error(EDEADLK, "Manager",
                    "the object is being called, and the call waits for this one");
  }

  Thread* owner_ = nullptr;  // null: nobody; guarded by graph()
  std::condition_variable released_;
};

}  // namespace multiprocessing::serve
