// SPDX-License-Identifier: BSL-1.0
// Two connected ends, between which messages pass.
//
// Messages lie in shared memory (channel/lane.hpp): while both sides are awake no system call is
// made. What a connection holds is memory and no descriptor.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/message.hpp>
#include <multiprocessing/channel/pipe_end.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/seats.hpp>
#include <multiprocessing/wire/picklable.hpp>
#include <multiprocessing/wire/refusal.hpp>

namespace multiprocessing {

class Waitable;

/// For Pipe(): the first end only receives, the second only sends.
struct OneWay {};
inline constexpr OneWay one_way{};

/// In place of a type: each message has its own, and recv<T>() asks whether it is a T.
struct Any {};

namespace pipe_detail {
struct Maker;

/// Whether an end that sends `Sent` takes a T.
template <class T, class Sent>
inline constexpr bool kIsSentAs = std::convertible_to<T const&, Sent const&>;
template <class T>
inline constexpr bool kIsSentAs<T, Any> = true;
template <class T>
inline constexpr bool kIsSentAs<T, void> = false;
template <class T, class Sent>
concept SentAs = kIsSentAs<T, Sent>;
}  // namespace pipe_detail

/// A message that was received and is looked at where it lies. Move-only; has no bytes once it was
/// moved from.
class View {
 public:
  /// The message, good as long as the View.
  std::span<std::byte const> bytes() const noexcept {
    return received_ ? received_->bytes() : std::span<std::byte const>();
  }

 private:
  template <class, class>
  friend class Connection;
  View() : received_(std::make_unique<channel::Received>()) {}

  std::unique_ptr<channel::Received> received_;
};

/// Shared memory that is filled in place, and then sent without a copy. Has no bytes once it was
/// sent, also when that has thrown, or moved from.
class Loan {
 public:
  /// To be written to, until it is sent.
  std::span<std::byte> bytes() const noexcept {
    return block_.lease ? std::span(block_.lease->data(), size_) : std::span<std::byte>();
  }

 private:
  template <class, class>
  friend class Connection;
  explicit Loan(std::size_t size) : block_(channel::make_block(size)), size_(size) {}

  channel::Enclosed block_;
  std::size_t size_;
};

/// One end of a pipe: sends `Sent`, receives `Received`; void where it does not. A handle: a copy
/// is the same end. An end that was moved into a Process's function or arguments is the child's
/// alone once that has started; a copy is shared. A child has no other ends than those it was
/// given.
///
/// Threads, processes: all members safe; a message is received once, and concurrent senders do not
/// mix theirs. While another process is stopped (SIGSTOP) in the middle of a call, those on its
/// side of the pipe wait for it, also those that do not wait otherwise.
/// Peer death: of the last who has the other end: what was sent is received, then EOFError; sends
/// throw BrokenPipeError. Who is killed in the middle of a call has sent, or received, its message
/// as a whole or not at all. Throws: every call std::system_error: bad_file_descriptor on an end
/// that is closed, or not given to this process; resource_deadlock_would_occur where only the
/// calling thread could end the wait; and std::logic_error when it was moved from. Python:
/// multiprocessing.connection.Connection. Differs: typed; several may use an end.
template <class Sent, class Received = Sent>
class Connection {
  static constexpr bool kSends = !std::same_as<Sent, void>;
  static constexpr bool kReceives = !std::same_as<Received, void>;
  static constexpr bool kSendsAny = std::same_as<Sent, Any>;
  static constexpr bool kReceivesAny = std::same_as<Received, Any>;

 public:
  /// A copy is the same end; one that was moved from has none.
  Connection(Connection const& other) : end_(other.end_) { channel::note_handle(end_); }
  Connection(Connection&& other) noexcept : end_(std::move(other.end_)) {
    channel::note_handle(end_);
  }
  Connection& operator=(Connection const&) = default;
  Connection& operator=(Connection&&) noexcept = default;

  /// Blocks: while as much is under way as the pipe takes (some 200 KiB of small messages, 8 MiB in
  /// large ones, or one of any size). Throws: BrokenPipeError, PicklingError, std::bad_alloc.
  template <class T = Sent>
  requires pipe_detail::SentAs<T, Sent>
  void send(T const& value) const {
    static_cast<void>(send_by(channel::Call{"Connection", "send"}, value, base::Deadline::never()));
  }
  /// Blocks: at most for `timeout`. Whether it was sent.
  template <class T = Sent, class Rep, class Period>
  requires pipe_detail::SentAs<T, Sent>
  [[nodiscard]] bool send_for(T const& value, std::chrono::duration<Rep, Period> timeout) const {
    return send_by(channel::Call{"Connection", "send_for"}, value, base::Deadline::after(timeout));
  }
  /// Blocks: no. Whether it was sent.
  template <class T = Sent>
  requires pipe_detail::SentAs<T, Sent>
  [[nodiscard]] bool try_send(T const& value) const {
    return send_by(channel::Call{"Connection", "try_send"}, value, base::Deadline::now());
  }

  /// Blocks: until a message is there. Throws: EOFError when the other end is gone and all is read;
  /// TypeError when the message is bytes, UnpicklingError, std::bad_alloc, and std::system_error
  /// when it brings an Fd and this process may have no more: the message is lost then.
  Received recv() const requires(kReceives && !kReceivesAny) {
    return *recv_by<Received>(channel::Call{"Connection", "recv"}, base::Deadline::never());
  }
  /// nullopt: no message came within `timeout`.
  template <class Rep, class Period>
  [[nodiscard]] std::optional<Received> recv_for(std::chrono::duration<Rep, Period> timeout) const
      requires(kReceives && !kReceivesAny) {
    return recv_by<Received>(channel::Call{"Connection", "recv_for"},
                             base::Deadline::after(timeout));
  }
  /// nullopt: no message came before `when`.
  template <class Clock, class Duration>
  [[nodiscard]] std::optional<Received> recv_until(
      std::chrono::time_point<Clock, Duration> when) const requires(kReceives && !kReceivesAny) {
    return recv_by<Received>(channel::Call{"Connection", "recv_until"}, base::Deadline::at(when));
  }
  /// Blocks: no. nullopt: there is no message.
  [[nodiscard]] std::optional<Received> try_recv() const requires(kReceives && !kReceivesAny) {
    return recv_by<Received>(channel::Call{"Connection", "try_recv"}, base::Deadline::now());
  }

  /// Of an untyped pipe. Throws: TypeError when the message holds another type; it is lost then.
  template <class T>
  T recv() const requires kReceivesAny {
    return *recv_by<T>(channel::Call{"Connection", "recv"}, base::Deadline::never());
  }
  template <class T, class Rep, class Period>
  [[nodiscard]] std::optional<T> recv_for(std::chrono::duration<Rep, Period> timeout) const requires
      kReceivesAny {
    return recv_by<T>(channel::Call{"Connection", "recv_for"}, base::Deadline::after(timeout));
  }
  template <class T>
  [[nodiscard]] std::optional<T> try_recv() const requires kReceivesAny {
    return recv_by<T>(channel::Call{"Connection", "try_recv"}, base::Deadline::now());
  }

  /// Whether a receive would not block: there is a message, or the end of file. Blocks: no, or at
  /// most for `timeout`.
  [[nodiscard]] bool poll() const requires kReceives {
    return end(channel::Call{"Connection", "poll"})
        .poll(channel::Call{"Connection", "poll"}, base::Deadline::now());
  }
  template <class Rep, class Period>
  [[nodiscard]] bool poll(std::chrono::duration<Rep, Period> timeout) const requires kReceives {
    return end(channel::Call{"Connection", "poll"})
        .poll(channel::Call{"Connection", "poll"}, base::Deadline::after(timeout));
  }

  /// Sends bytes as they are, for recv_bytes() and its like. Blocks, throws: as send().
  void send_bytes(std::span<std::byte const> bytes) const requires kSends {
    channel::Outgoing message(kBytes, bytes);
    static_cast<void>(
        put(channel::Call{"Connection", "send_bytes"}, message, base::Deadline::never()));
  }
  /// `size` bytes from `offset` on. Throws: std::invalid_argument when there are less.
  void send_bytes(std::span<std::byte const> bytes, std::size_t offset,
                  std::size_t size = std::dynamic_extent) const requires kSends {
    if (offset > bytes.size() || (size != std::dynamic_extent && size > bytes.size() - offset)) {
      throw std::invalid_argument("Connection.send_bytes: " + std::to_string(bytes.size()) +
                                  " bytes have no such part");
    }
    send_bytes(bytes.subspan(offset, size));
  }

  /// Any message, as bytes: those of send_bytes(), or of an encoded value, whose shared objects are
  /// dropped. Throws: EOFError; BufferTooShort when it has more than `most`, and can still be
  /// received.
  [[nodiscard]] wire::Bytes recv_bytes(std::size_t most = SIZE_MAX) const requires kReceives {
    wire::Bytes bytes;
    static_cast<void>(copy_message(
        channel::Call{"Connection", "recv_bytes"}, most, base::Deadline::never(),
        [&](std::span<std::byte const> message) { bytes.assign(message.begin(), message.end()); }));
    return bytes;
  }
  /// Writes the message to `room`, from `offset` on, and returns its size.
  /// Throws: EOFError; BufferTooShort when it does not fit, and can still be received;
  /// std::invalid_argument when `offset` lies beyond the room.
  std::size_t recv_bytes_into(std::span<std::byte> room,
                              std::size_t offset = 0) const requires kReceives {
    if (offset > room.size()) {
      throw std::invalid_argument("Connection.recv_bytes_into: the offset " +
                                  std::to_string(offset) + " lies behind the " +
                                  std::to_string(room.size()) + " bytes of room");
    }
    auto const rest = room.subspan(offset);
    return copy_message(channel::Call{"Connection", "recv_bytes_into"}, rest.size(),
                        base::Deadline::never(), [&](std::span<std::byte const> message) {
                          if (!message.empty()) {
                            std::memcpy(rest.data(), message.data(), message.size());
                          }
                        });
  }

  /// `size` bytes of shared memory, with no particular content, to be filled and sent.
  /// Throws: std::bad_alloc.
  [[nodiscard]] Loan loan(std::size_t size) const requires kSends { return Loan(size); }
  /// Sends the bytes of the loan, without a copy of them. Blocks, throws: as send().
  void send(Loan&& loan) const requires kSends {
    channel::Outgoing message(kBytes, std::move(loan.block_), loan.size_);
    static_cast<void>(put(channel::Call{"Connection", "send"}, message, base::Deadline::never()));
  }
  /// Any message, where it lies, if it has a block of its own: loans, and messages over 8 KiB.
  /// Blocks, throws: as recv_bytes().
  [[nodiscard]] View recv_view() const requires kReceives {
    View view;
    constexpr channel::Call kCall{"Connection", "recv_view"};
    auto const take = [&](channel::Incoming const& incoming) {
      return view.received_->take(incoming);
    };
    static_cast<void>(end(kCall).receive(kCall, take, base::Deadline::never()));
    return view;
  }

  /// A descriptor for poll and epoll: readable when there is a message, or the end of file, and now
  /// and then without either, to have it asked for. It is told once, so then try_recv() until there
  /// is nothing; which arms it again. Good until close().
  /// Blocks: no. Throws: std::system_error, when eight handles that were made apart have one, or
  /// there are none left.
  [[nodiscard]] int fileno() const requires kReceives {
    return end({"Connection", "fileno"}).fileno({"Connection", "fileno"});
  }

  /// This handle and its copies do without the end from now on; a handle that came in a message is
  /// no copy. A second call does nothing.
  void close() const noexcept {
    if (end_ != nullptr) end_->give_up();
  }
  [[nodiscard]] bool closed() const noexcept { return end_ == nullptr || end_->is_closed(); }
  [[nodiscard]] bool readable() const noexcept { return kReceives && !closed(); }
  [[nodiscard]] bool writable() const noexcept { return kSends && !closed(); }

  /// Whether both are the same handle of an end, or copies of it.
  friend bool operator==(Connection const&, Connection const&) = default;

  /// For the wire: the receiver of the message has this end, too; close() gives up one's own.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    constexpr channel::Call kCall{"Connection", "save"};
    end(kCall).save(encoder, kCall, "a Connection");
  }
  template <class Decoder>
  static Connection decode_from(Decoder& decoder) {
    return Connection(channel::PipeEnd::read(decoder));
  }

 private:
  friend pipe_detail::Maker;
  friend Waitable;

  static constexpr channel::Content kBytes{.is_bytes = true};

  explicit Connection(std::shared_ptr<channel::PipeEnd> end) : end_(std::move(end)) {}

  channel::PipeEnd& end(channel::Call call) const {
    if (end_ == nullptr) {
      throw std::logic_error(call.text() + ": the connection was moved from");
    }
    return *end_;
  }

  bool is_ready() const requires kReceives {
    constexpr channel::Call kCall{"Connection", "wait"};
    return end(kCall).is_ready(kCall);
  }

  bool put(channel::Call call, channel::Outgoing& message, base::Deadline deadline) const {
    return channel::send_message(end(call), call, message, deadline);
  }

  template <class T>
  bool send_by(channel::Call call, T const& given, base::Deadline deadline) const {
    using Value = std::conditional_t<kSendsAny, T, Sent>;
    wire::require_picklable<Value>();
    if constexpr (wire::Picklable<Value>) {
      Value const& value = given;
      return channel::send_value(end(call), call, value, kSendsAny, deadline);
    } else {
      return false;
    }
  }

  template <class T>
  std::optional<T> recv_by(channel::Call call, base::Deadline deadline) const {
    wire::require_picklable<T>();
    if constexpr (wire::Picklable<T>) {
      return channel::receive_value<T>(end(call), call, deadline);
    } else {
      return std::nullopt;
    }
  }

  template <class Copy>
  std::size_t copy_message(channel::Call call, std::size_t most, base::Deadline deadline,
                           Copy const& copy) const {
    std::size_t size = 0;
    channel::Incoming large;  // is copied when others may go on
    auto const take_if_it_fits = [&](channel::Incoming const& incoming) {
      size = incoming.bytes.size();
      if (size > most) return false;
      if (incoming.lease != nullptr) {
        large = incoming;
      } else {
        copy(incoming.bytes);
      }
      return true;
    };
    if (end(call).receive(call, take_if_it_fits, deadline) == channel::Passed::Refused) {
      throw BufferTooShort(call.text() + ": the message has " + std::to_string(size) +
                               " bytes, and there is room for " + std::to_string(most),
                           size);
    }
    if (large.lease != nullptr) copy(large.bytes);
    return size;
  }

  std::shared_ptr<channel::PipeEnd> end_;
};

namespace pipe_detail {
struct Maker {
  template <class S, class R>
  static std::pair<Connection<S, R>, Connection<R, S>> make() {
    auto [first, second] = channel::make_pipe({!std::same_as<S, void>, !std::same_as<R, void>});
    return {Connection<S, R>(std::move(first)), Connection<R, S>(std::move(second))};
  }
};
}  // namespace pipe_detail

/// The two ends of a pipe. Throws: std::bad_alloc, std::system_error.
/// Python: multiprocessing.Pipe
template <class Sent, class Received = Sent>
[[nodiscard]] std::pair<Connection<Sent, Received>, Connection<Received, Sent>> Pipe() {
  return pipe_detail::Maker::make<Sent, Received>();
}
[[nodiscard]] inline std::pair<Connection<Any>, Connection<Any>> Pipe() {
  return pipe_detail::Maker::make<Any, Any>();
}

/// The end that receives, and the end that sends. Python: multiprocessing.Pipe(duplex=False)
template <class Message>
[[nodiscard]] std::pair<Connection<void, Message>, Connection<Message, void>> Pipe(OneWay) {
  return pipe_detail::Maker::make<void, Message>();
}
[[nodiscard]] inline std::pair<Connection<void, Any>, Connection<Any, void>> Pipe(OneWay) {
  return pipe_detail::Maker::make<void, Any>();
}

}  // namespace multiprocessing
