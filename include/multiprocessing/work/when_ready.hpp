// SPDX-License-Identifier: BSL-1.0
// What follows when tasks are ready, without a thread that waits for them: a call, a descriptor
// that becomes readable, a coroutine that goes on. All of it in the thread of the crew's callbacks.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/work/callbacks.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/submit.hpp>
#include <multiprocessing/work/task.hpp>

namespace multiprocessing::work {

/// Calls `call`, once, in that thread, when the group is ready. By value: what is called may drop
/// the caller's. Throws: std::system_error when the thread can not be started.
inline void when_ready(std::shared_ptr<TaskGroup> group, std::function<void()> call) {
  group->tell_all();
  auto& callbacks = group->crew().callbacks();
  callbacks.add([group] { return group->is_ready(); }, std::move(call));
}

/// The group's descriptor: readable from when it is ready, and as long as the group lives.
/// Threads: safe. Throws: std::system_error; std::logic_error in another process than the owner's.
inline int descriptor_of(std::shared_ptr<TaskGroup> const& group) {
  group->crew().require_owner(group->call());  // first: a child may find the mutex locked for ever
  std::lock_guard const lock(group->crew().descriptor_mutex());
  auto& descriptor = group->descriptor();
  if (!descriptor) {
    os::Fd made = os::create_eventfd();
    if (group->is_ready()) {
      os::signal_eventfd(made);
    } else {
      when_ready(group, [fd = made.get()] { os::signal_eventfd(fd); });  // is called with the group
    }
    descriptor = std::move(made);
  }
  return descriptor.get();
}

/// For `co_await`. Threads: one.
template <class R>
class Awaiter {
 public:
  Awaiter(std::shared_ptr<TaskGroup> group, Collect<R>* collect) noexcept
      : group_(std::move(group)), collect_(collect) {}

  /// Throws: std::logic_error in another process than the owner's.
  bool await_ready() const {
    group_->crew().require_owner(group_->call());
    return group_->is_ready();
  }
  /// `waiting`: a std::coroutine_handle. It may go on, and drop this, before this has returned.
  template <class Coroutine>
  void await_suspend(Coroutine waiting) const {
    when_ready(group_, [waiting] { waiting.resume(); });
  }
  R await_resume() const { return collect_(*group_); }

 private:
  std::shared_ptr<TaskGroup> group_;
  Collect<R>* collect_;
};

}  // namespace multiprocessing::work
