// SPDX-License-Identifier: BSL-1.0
// A queue whose two halves know of each other.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/channel/inheritance.hpp>
#include <multiprocessing/channel/message.hpp>
#include <multiprocessing/channel/pipe_end.hpp>
#include <multiprocessing/channel/spelling.hpp>
#include <multiprocessing/os/system_call.hpp>
#include <multiprocessing/wire/picklable.hpp>
#include <multiprocessing/wire/refusal.hpp>

namespace multiprocessing {

class Waitable;

namespace channel_detail {

/// A handle of one half.
template <class Self>
class Half {
 public:
  /// A copy is the same half; a handle that was moved from has none.
  Half(Half const& other) : end_(other.end_) { channel::note_handle(end_); }
  Half(Half&& other) noexcept : end_(std::move(other.end_)) { channel::note_handle(end_); }
  Half& operator=(Half const&) = default;
  Half& operator=(Half&&) noexcept = default;

  /// This handle and its copies do without the half from now on; a handle that came in a message is
  /// no copy. A second call does nothing.
  void close() const noexcept {
    if (end_ != nullptr) end_->give_up();
  }
  [[nodiscard]] bool closed() const noexcept { return end_ == nullptr || end_->is_closed(); }

  /// Whether both are the same handle of a half, or copies of it.
  friend bool operator==(Half const&, Half const&) = default;

  /// For the wire: the receiver of the message has this half, too.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    port("save").save(encoder, call("save"), Self::kArticle);
  }
  template <class Decoder>
  static Self decode_from(Decoder& decoder) {
    return Self(channel::PipeEnd::read(decoder));
  }

 protected:
  explicit Half(std::shared_ptr<channel::PipeEnd> end) : end_(std::move(end)) {}

  static channel::Call call(char const* verb) noexcept { return {Self::kName, verb}; }
  channel::PipeEnd& port(char const* verb) const {
    if (end_ == nullptr) os::throw_error(EBADF, call(verb).text(), "the handle was moved from");
    return *end_;
  }

 private:
  std::shared_ptr<channel::PipeEnd> end_;
};

struct Maker;

}  // namespace channel_detail

/// The half of a Channel that items are put into. A handle; copies in any number of processes, each
/// of which has only those that it was given.
/// Threads, processes: all members safe. Items of one producer keep their order.
/// Peer death: as Queue. Throws: BrokenPipeError once every Receiver is gone; std::system_error
/// (bad_file_descriptor) when it is closed or was not given to this process.
template <class T>
class Sender : public channel_detail::Half<Sender<T>>, public channel::Puts<Sender<T>, T> {
 private:
  friend channel_detail::Half<Sender<T>>;
  friend channel_detail::Maker;
  friend channel::Puts<Sender<T>, T>;
  static constexpr char const* kName = "Sender";
  static constexpr char const* kArticle = "a Sender";

  using channel_detail::Half<Sender<T>>::Half;

  bool put_by(char const* verb, T const& item, base::Deadline deadline) const {
    wire::require_picklable<T>();
    if constexpr (wire::Picklable<T>) {
      return channel::send_value(this->port(verb), this->call(verb), item, false, deadline);
    } else {
      return false;
    }
  }
};

/// The half of a Channel that items are got from. `for (auto& item : receiver)` gets until every
/// Sender is gone.
/// Threads, processes: all members safe. Peer death: as Queue.
/// Throws: EOFError once every Sender is gone and nothing is left; std::system_error as Sender.
template <class T>
class Receiver : public channel_detail::Half<Receiver<T>>, public channel::Gets<Receiver<T>, T> {
 public:
  /// Whether a get would not block: there is an item, or the end of file.
  [[nodiscard]] bool poll() const {
    return this->port("poll").poll(this->call("poll"), base::Deadline::now());
  }
  /// A descriptor for poll and epoll: readable when there is an item, or the end of file; now and
  /// then without either, to have it asked for. It is told once, so then try_get() until there is
  /// nothing; which arms it again. Good until close(). Blocks: no. Throws: std::system_error, when
  /// eight handles that were made apart have one, or there are none left.
  [[nodiscard]] int fileno() const { return this->port("fileno").fileno(this->call("fileno")); }

 private:
  friend Waitable;
  friend channel_detail::Half<Receiver<T>>;
  friend channel_detail::Maker;
  friend channel::Gets<Receiver<T>, T>;
  static constexpr char const* kName = "Receiver";
  static constexpr char const* kArticle = "a Receiver";

  using channel_detail::Half<Receiver<T>>::Half;

  bool is_ready() const { return this->port("wait").is_ready(this->call("wait")); }

  std::optional<T> get_by(char const* verb, base::Deadline deadline) const {
    wire::require_picklable<T>();
    if constexpr (wire::Picklable<T>) {
      return channel::receive_value<T>(this->port(verb), this->call(verb), deadline);
    } else {
      return std::nullopt;
    }
  }
  bool get_next(std::optional<T>& item) const {
    try {
      item = get_by("get", base::Deadline::never());
      return true;
    } catch (EOFError const&) {
      return false;
    }
  }
};

namespace channel_detail {
struct Maker {
  template <class T>
  static std::pair<Sender<T>, Receiver<T>> make(std::size_t capacity) {
    auto [first, second] = channel::make_pipe({.can_send = true, .can_receive = false},
                                              {.messages = capacity, .chunks = 0, .weight = 0});
    return {Sender<T>(std::move(first)), Receiver<T>(std::move(second))};
  }
};
}  // namespace channel_detail

/// The two halves of a new channel that holds `capacity` items at most; 0: as many as there is
/// memory for. Throws: std::bad_alloc, std::system_error. Python: has no such thing
template <class T>
[[nodiscard]] std::pair<Sender<T>, Receiver<T>> Channel(std::size_t capacity = 0) {
  return channel_detail::Maker::make<T>(capacity);
}

}  // namespace multiprocessing
