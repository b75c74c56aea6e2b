// SPDX-License-Identifier: BSL-1.0
// Waiting for several things at once.
#pragma once

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <vector>

#include <multiprocessing/base/compiler.hpp>
#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>

namespace multiprocessing {

namespace wait_detail {
template <class T>
concept Receivable = requires(T const& object) {
  { object.poll() } -> std::same_as<bool>;
  { object.fileno() } -> std::same_as<int>;
};
}  // namespace wait_detail

/// One of the things that wait() waits for: a pointer to a Connection, a Receiver or a queue, or a
/// descriptor, such as Process::sentinel().
class Waitable {
 public:
  /// Not owned: has to live as long.
  template <wait_detail::Receivable T>
  Waitable(T const* object)  // NOLINT: implicit, so that a list of pointers is one of these
      : object_(object),
        is_ready_([](void const* it) { return is_ready_now(*static_cast<T const*>(it)); }),
        poll_([](void const* it) { return static_cast<T const*>(it)->poll(); }),
        fileno_([](void const* it) { return static_cast<T const*>(it)->fileno(); }) {}
  Waitable(int fd) : fd_(fd) {}  // NOLINT: as above

  /// Whether it is this object, or this descriptor.
  friend bool operator==(Waitable const& a, Waitable const& b) noexcept {
    return a.object_ == b.object_ && a.fd_ == b.fd_;
  }

 private:
  friend std::vector<Waitable> wait_until(std::span<Waitable const>, base::Deadline);

  /// Without arming its descriptor, where it has one of the library's.
  template <class T>
  static bool is_ready_now(T const& object) {
    if constexpr (requires { object.is_ready(); }) {
      return object.is_ready();
    } else {
      return object.poll();
    }
  }

  bool is_descriptor() const noexcept { return object_ == nullptr; }
  bool is_ready() const { return !is_descriptor() && is_ready_(object_); }
  bool poll() const { return !is_descriptor() && poll_(object_); }
  int fileno() const { return is_descriptor() ? fd_ : fileno_(object_); }

  void const* object_ = nullptr;
  bool (*is_ready_)(void const*) = nullptr;
  bool (*poll_)(void const*) = nullptr;
  int (*fileno_)(void const*) = nullptr;
  int fd_ = -1;
};

/// Those of `things` that are ready, in their order; none once the deadline has passed.
inline std::vector<Waitable> wait_until(std::span<Waitable const> things, base::Deadline deadline) {
  bool const has_descriptors = std::any_of(things.begin(), things.end(),
                                           [](auto const& each) { return each.is_descriptor(); });
  std::vector<Waitable> ready;
  auto const look = [&] {
    for (auto const& each : things) {
      if (each.is_ready()) ready.push_back(each);
    }
    return !ready.empty();
  };
  if (!has_descriptors && (look() || sync::AdaptiveSpin::of_this_thread()(look))) return ready;
  std::vector<pollfd> fds;
  for (auto const& each : things) fds.push_back({each.fileno(), POLLIN, 0});
  for (;;) {  // a descriptor may have been made readable for what is gone by now: it is armed again
    bool const is_late = os::poll_until(fds, deadline) == 0;
    for (std::size_t i = 0; i < things.size(); ++i) {
      bool const is_set = things[i].is_descriptor() ? fds[i].revents != 0 : things[i].poll();
      if (is_set) ready.push_back(things[i]);
    }
    if (!ready.empty() || is_late) return ready;
  }
}

/// Waits until at least one of `things` is ready: has a message, the end of file, or is a readable
/// descriptor. Returns those that are, in their order.
/// Blocks: until then, for ever when there are none; close() in another thread does not end it. No
/// system call when an object is ready, and no descriptor is among them.
/// Threads: safe. Throws: what fileno() of these does. Python: multiprocessing.connection.wait
[[nodiscard]] inline std::vector<Waitable> wait(std::initializer_list<Waitable> things) {
  return wait_until({things.begin(), things.size()}, base::Deadline::never());
}
/// Blocks: at most for `timeout`; nothing is ready then.
template <class Rep, class Period>
[[nodiscard]] std::vector<Waitable> wait(std::initializer_list<Waitable> things,
                                         std::chrono::duration<Rep, Period> timeout) {
  return wait_until({things.begin(), things.size()}, base::Deadline::after(timeout));
}
/// The same, for any number of them.
[[nodiscard]] inline std::vector<Waitable> wait(std::span<Waitable const> things) {
  return wait_until(things, base::Deadline::never());
}
template <class Rep, class Period>
[[nodiscard]] std::vector<Waitable> wait(std::span<Waitable const> things,
                                         std::chrono::duration<Rep, Period> timeout) {
  return wait_until(things, base::Deadline::after(timeout));
}

}  // namespace multiprocessing
