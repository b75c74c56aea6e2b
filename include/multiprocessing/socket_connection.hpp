// SPDX-License-Identifier: BSL-1.0
// A connection to a process that is no relative: the calls of an untyped Connection, over a socket.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/picklable.hpp>
#include <multiprocessing/wire/refusal.hpp>
#include <multiprocessing/wire/type_hash.hpp>

namespace multiprocessing {

/// What Listener::accept() and Client() return. A handle: a copy is the same connection. Each
/// message has its own type, and recv<T>() asks whether it is a T. Values are this build's bytes:
/// the other side runs the same program, or talks in bytes.
///
/// Threads: all members safe. Processes: a fork shares the connection; at most one of the processes
/// may send, and one receive; and not while another thread of the parent is inside a call. Peer
/// death: of the last who has the other end: EOFError once all is read, BrokenPipeError for who
/// sends. Throws: every call, std::system_error (bad_file_descriptor) once it is closed. Python:
/// multiprocessing.connection.Connection
class SocketConnection {
 public:
  /// REQUIRES: not null. Not called by users.
  explicit SocketConnection(std::unique_ptr<channel::SocketStream> stream)
      : stream_(std::move(stream)) {}
  // No moves: a handle always has its connection.
  SocketConnection(SocketConnection const&) = default;
  SocketConnection& operator=(SocketConnection const&) = default;

  /// Blocks: while the other side does not receive and the kernel's buffers are full.
  /// Throws: BrokenPipeError, PicklingError, std::bad_alloc.
  template <class T>
  void send(T const& value) const {
    wire::require_picklable<T>();
    if constexpr (wire::Picklable<T>) {
      wire::Bytes bytes;
      wire::encode(bytes, value);
      stream_->send(channel::Kind::Value, wire::kTypeHash<T>, bytes);
    }
  }
  /// Blocks: until a message is there. Throws: EOFError; TypeError when the message holds another
  /// type, or bytes, UnpicklingError: it is lost then.
  template <class T>
  T recv() const {
    return *recv_by<T>(base::Deadline::never());
  }
  /// nullopt: no message came within `timeout`.
  template <class T, class Rep, class Period>
  [[nodiscard]] std::optional<T> recv_for(std::chrono::duration<Rep, Period> timeout) const {
    return recv_by<T>(base::Deadline::after(timeout));
  }
  template <class T>
  [[nodiscard]] std::optional<T> try_recv() const {
    return recv_by<T>(base::Deadline::now());
  }

  /// Blocks, throws: as send().
  void send_bytes(std::span<std::byte const> bytes) const {
    stream_->send(channel::Kind::Bytes, 0, bytes);
  }
  /// Any message, as bytes. Throws: EOFError; BufferTooShort when it has more than `most`, and can
  /// still be received.
  [[nodiscard]] wire::Bytes recv_bytes(std::size_t most = SIZE_MAX) const {
    return std::move(stream_->receive(base::Deadline::never(), most)->bytes);
  }
  /// Writes the message to `room`, from `offset` on, and returns its size. Throws: as recv_bytes();
  /// std::invalid_argument when `offset` lies beyond the room.
  std::size_t recv_bytes_into(std::span<std::byte> room, std::size_t offset = 0) const {
    if (offset > room.size()) {
      throw std::invalid_argument("SocketConnection.recv_bytes_into: the offset " +
                                  std::to_string(offset) + " lies behind the " +
                                  std::to_string(room.size()) + " bytes of room");
    }
    auto const bytes = recv_bytes(room.size() - offset);
    if (!bytes.empty()) std::memcpy(room.data() + offset, bytes.data(), bytes.size());
    return bytes.size();
  }

  /// Whether there is something to receive, at least the beginning of a message, or the end of
  /// file. Blocks: no, or at most for `timeout`.
  [[nodiscard]] bool poll() const { return stream_->poll(base::Deadline::now()); }
  template <class Rep, class Period>
  [[nodiscard]] bool poll(std::chrono::duration<Rep, Period> timeout) const {
    return stream_->poll(base::Deadline::after(timeout));
  }
  /// The socket, for poll and epoll: readable as long as there is something to receive.
  [[nodiscard]] int fileno() const { return stream_->fileno(); }

  /// This process does without it, all its handles included. A second call does nothing.
  void close() const noexcept { stream_->close(); }
  [[nodiscard]] bool closed() const noexcept { return stream_->closed(); }
  [[nodiscard]] bool readable() const noexcept { return !closed(); }
  [[nodiscard]] bool writable() const noexcept { return !closed(); }

  /// Whether both are the same connection.
  friend bool operator==(SocketConnection const&, SocketConnection const&) = default;

 private:
  template <class T>
  std::optional<T> recv_by(base::Deadline deadline) const {
    wire::require_picklable<T>();
    auto const message = stream_->receive(deadline);
    if (!message) return std::nullopt;
    if (message->kind != channel::Kind::Value || message->type != wire::kTypeHash<T>) {
      throw TypeError("SocketConnection.recv: the message holds something else than a " +
                      base::type_name(typeid(T)));
    }
    if constexpr (wire::Picklable<T>) {
      std::span<std::byte const> bytes = message->bytes;
      return wire::decode<T>(bytes);
    } else {
      return std::nullopt;
    }
  }

  std::shared_ptr<channel::SocketStream> stream_;
};

}  // namespace multiprocessing
