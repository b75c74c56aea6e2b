// SPDX-License-Identifier: BSL-1.0
// Items from many producers to many consumers, in processes and threads alike.
//
// Items lie in shared memory from the return of put() on: no thread carries them, so a producer may
// end at once, and be joined before anybody gets what it put.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/channel/lane.hpp>
#include <multiprocessing/channel/message.hpp>
#include <multiprocessing/channel/queue_end.hpp>
#include <multiprocessing/channel/spelling.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/wire/picklable.hpp>
#include <multiprocessing/wire/refusal.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing {

class Waitable;

/// For shutdown(): what is in the queue is dropped.
struct Immediate {};
inline constexpr Immediate immediate{};

namespace queue_detail {

/// What the queues have in common: a handle of a QueueEnd.
template <class Self, class T>
class Base {
 public:
  // No moves: a handle always has its queue.
  Base(Base const&) = default;
  Base& operator=(Base const&) = default;

  /// Items that are in it now. Python differs: exact.
  [[nodiscard]] std::size_t qsize() const noexcept {
    return static_cast<std::size_t>(end_->lane().count());
  }
  [[nodiscard]] bool empty() const noexcept { return qsize() == 0; }

  /// Whether a get would not block: there is an item, or the queue is shut down.
  [[nodiscard]] bool poll() const { return end_->poll(); }
  /// A descriptor for poll and epoll: readable when there is an item, or it is shut down; now and
  /// then without either, to have it asked for. It is told once, so then try_get() until there is
  /// nothing; which arms it again. Good until close(). Blocks: no. Throws: std::system_error, when
  /// eight handles that were made apart have one, or there are none left.
  [[nodiscard]] int fileno() const { return end_->fileno(call("fileno")); }

  /// For the wire: the receiver of the message has the queue, too.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    wire::save_handle(encoder, end_->state(), Self::kArticle);
  }
  template <class Decoder>
  static Self decode_from(Decoder& decoder) {
    return Self(wire::read_handle<channel::QueueState>(decoder));
  }

  /// Whether both are the same queue.
  friend bool operator==(Base const& a, Base const& b) noexcept {
    return a.end_->state() == b.end_->state();
  }

 protected:
  explicit Base(std::size_t maxsize)
      : end_(std::make_shared<channel::QueueEnd>(
            channel::QueueState::make({.messages = maxsize, .chunks = 0, .weight = 0}))) {
    wire::require_picklable<T>();
  }

  explicit Base(shm::Shared<channel::QueueState> const& state)
      : end_(std::make_shared<channel::QueueEnd>(state)) {}

  channel::QueueEnd& port() const noexcept { return *end_; }

  // What Puts and Gets ask for.
  static channel::Call call(char const* verb) noexcept { return {Self::kName, verb}; }

  bool put_by(char const* verb, T const& item, base::Deadline deadline) const {
    if constexpr (wire::Picklable<T>) {
      return channel::send_value(port(), call(verb), item, false, deadline);
    } else {
      return false;
    }
  }
  std::optional<T> get_by(char const* verb, base::Deadline deadline) const {
    if constexpr (wire::Picklable<T>) {
      return channel::receive_value<T>(port(), call(verb), deadline);
    } else {
      return std::nullopt;
    }
  }
  bool get_next(std::optional<T>& item) const {
    try {
      item = get_by("get", base::Deadline::never());
      return true;
    } catch (ShutDown const&) {
      return false;
    }
  }

 private:
  friend Waitable;

  bool is_ready() const { return end_->is_ready(); }

  std::shared_ptr<channel::QueueEnd> end_;
};

/// What the two queues with a bound have in common.
template <class Self, class T>
class Bounded : public Base<Self, T>, public channel::Puts<Self, T>, public channel::Gets<Self, T> {
 public:
  /// Whether it holds its maxsize. Python differs: exact.
  [[nodiscard]] bool full() const noexcept {
    auto const most = this->port().lane().most_messages();
    return most != 0 && this->qsize() >= most;
  }

  /// Nothing can be put any more, by anybody; what is there can be got. Waits end.
  void shutdown() const noexcept { this->port().shut_down(); }
  /// The same, and drops what is there.
  void shutdown(Immediate) const { this->port().shut_down_now(); }

  /// This process neither puts nor gets any more; others may. A second call does nothing.
  void close() const noexcept { this->port().close(); }

 protected:
  using Base<Self, T>::Base;
};

}  // namespace queue_detail

/// A queue, first in, first out. A handle: a copy is the same queue, also in a process that is
/// started with it, or receives it in a message. `for (auto& item : queue)` gets until it is shut
/// down.
///
/// Threads, processes: all members safe. Items of one producer keep their order.
/// Peer death: of a producer in put(): its item is there as a whole or not at all; of a consumer in
/// get(): its item is still there, or gone with it; all others go on. When nobody is left who could
/// end a wait - no other process has the queue, and the waiting one has a single thread - get()
/// throws EOFError and put() BrokenPipeError.
/// Throws: put() ShutDown once it is shut down, get() when it is empty then, too. After close()
/// both, and fileno(), std::invalid_argument; poll() is true.
/// Python: multiprocessing.Queue. Differs: shutdown(); no feeder thread, so put() throws what can
/// not be encoded, and join_thread() has nothing to wait for.
template <class T>
class Queue : public queue_detail::Bounded<Queue<T>, T> {
  using Base = queue_detail::Bounded<Queue<T>, T>;

 public:
  /// `maxsize`: items that it holds at most; 0: as many as there is memory for.
  /// Throws: std::bad_alloc, std::system_error.
  explicit Queue(std::size_t maxsize = 0) : Base(maxsize) {}

 private:
  friend queue_detail::Base<Queue<T>, T>;
  template <class, class>
  friend class channel::Puts;
  template <class, class>
  friend class channel::Gets;
  static constexpr char const* kName = "Queue";
  static constexpr char const* kArticle = "a Queue";

  using Base::Base;
};

/// A Queue that can be waited for until all its items have been dealt with.
/// Peer death: as Queue; join() throws EOFError when nobody is left who could call task_done().
/// Python: multiprocessing.JoinableQueue
template <class T>
class JoinableQueue : public queue_detail::Bounded<JoinableQueue<T>, T> {
  using Base = queue_detail::Bounded<JoinableQueue<T>, T>;

 public:
  /// As Queue's.
  explicit JoinableQueue(std::size_t maxsize = 0) : Base(maxsize) {}

  /// An item that was got has been dealt with. Throws: std::invalid_argument when there were not so
  /// many items.
  void task_done() const {
    if (!this->port().count_done()) {
      throw std::invalid_argument("JoinableQueue.task_done: called more often than items were put");
    }
  }

  /// Blocks: until task_done() was called for all items.
  void join() const { static_cast<void>(join_by(base::Deadline::never())); }
  /// Blocks: at most for `timeout`. Whether all are done.
  template <class Rep, class Period>
  [[nodiscard]] bool join_for(std::chrono::duration<Rep, Period> timeout) const {
    return join_by(base::Deadline::after(timeout));
  }

 private:
  friend queue_detail::Base<JoinableQueue<T>, T>;
  template <class, class>
  friend class channel::Puts;
  template <class, class>
  friend class channel::Gets;
  static constexpr char const* kName = "JoinableQueue";
  static constexpr char const* kArticle = "a JoinableQueue";

  using Base::Base;

  bool join_by(base::Deadline deadline) const {
    return this->port().join({"JoinableQueue", "join"}, deadline);
  }
};

/// A Queue with few calls, and no bound but memory. Python: multiprocessing.SimpleQueue
template <class T>
class SimpleQueue : public queue_detail::Base<SimpleQueue<T>, T> {
  using Base = queue_detail::Base<SimpleQueue<T>, T>;

 public:
  SimpleQueue() : Base(0) {}

  /// Does not block. Throws: as Queue's.
  void put(T const& item) const {
    static_cast<void>(this->put_by("put", item, base::Deadline::never()));
  }
  /// Blocks: until an item is there.
  T get() const { return *this->get_by("get", base::Deadline::never()); }
  void close() const noexcept { this->port().close(); }

 private:
  friend Base;
  static constexpr char const* kName = "SimpleQueue";
  static constexpr char const* kArticle = "a SimpleQueue";

  using Base::Base;
};

}  // namespace multiprocessing
