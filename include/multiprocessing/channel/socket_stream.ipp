// SPDX-License-Identifier: BSL-1.0
// The bodies of socket_stream.hpp.
#pragma once

#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/channel/closable_fd.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/socket.hpp>
#include <multiprocessing/wire/encoder.hpp>

namespace multiprocessing::channel {

MULTIPROCESSING_INLINE std::unique_lock<std::timed_mutex> lock_by(std::timed_mutex& mutex,
                                                                  base::Deadline deadline) {
  if (deadline.is_never()) return std::unique_lock(mutex);
  return std::unique_lock(mutex, deadline.time());
}

MULTIPROCESSING_INLINE void SocketStream::send(Kind kind, std::uint64_t type,
                                               std::span<std::byte const> message,
                                               base::Deadline deadline) {
  if (message.size() > kMostBytes) throw std::length_error("send: the message is too long");
  auto const lock = lock_by(sending_, deadline);
  if (!lock) throw TimeoutError("send: others were sending");
  auto const use = socket_.use();
  if (cut_off_) throw BrokenPipeError("send: an earlier message was cut off");
  Head head{.kind = kind, .size = message.size(), .type = type};
  iovec parts[] = {{&head, sizeof head},
                   {const_cast<std::byte*>(message.data()), message.size()}};  // only read
  send_all(use.get(), parts, sizeof head + message.size(), deadline);
}

MULTIPROCESSING_INLINE bool SocketStream::is_cut_off() {
  std::lock_guard const lock(sending_);
  return cut_off_;
}

MULTIPROCESSING_INLINE std::optional<Message> SocketStream::receive(base::Deadline deadline,
                                                                    std::size_t most) {
  auto message = receive_any(deadline, most);
  if (message && message->kind == Kind::Handshake) {
    throw AuthenticationError("the other side uses an authkey, this one none");
  }
  return message;
}

MULTIPROCESSING_INLINE std::optional<Message> SocketStream::receive_any(base::Deadline deadline,
                                                                        std::size_t most) {
  auto const lock = lock_by(receiving_, deadline);
  if (!lock) return std::nullopt;
  auto const use = socket_.use();
  auto& head = incoming_.head;
  if (!fill(use.get(), std::as_writable_bytes(std::span(&head, 1)), incoming_.head_filled,
            deadline)) {
    return std::nullopt;
  }
  if (!head.is_valid()) throw UnpicklingError("receive: what came is no message");
  if (head.size > most) {
    throw BufferTooShort("receive: the message has " + std::to_string(head.size) +
                             " bytes, there is room for " + std::to_string(most),
                         head.size);
  }
  if (!fill_body(use.get(), deadline)) return std::nullopt;
  Message message{head.kind, head.type, std::move(incoming_.body)};
  incoming_ = {};
  return message;
}

MULTIPROCESSING_INLINE void SocketStream::skip(base::Deadline deadline) {
  auto const lock = lock_by(receiving_, deadline);
  if (!lock) return;
  auto const use = socket_.use();
  auto& [head, head_filled, body, body_filled] = incoming_;
  if (!fill(use.get(), std::as_writable_bytes(std::span(&head, 1)), head_filled, deadline)) return;
  if (!head.is_valid()) throw UnpicklingError("receive: what came is no message");
  body = {};
  std::array<std::byte, 4096> room;
  while (body_filled < head.size) {
    auto const step = std::min<std::uint64_t>(room.size(), head.size - body_filled);
    std::size_t filled = 0;
    bool const is_all = fill(use.get(), std::span(room).first(step), filled, deadline);
    body_filled += filled;
    if (!is_all) return;
  }
  incoming_ = {};
}

MULTIPROCESSING_INLINE bool SocketStream::poll(base::Deadline deadline) {
  auto const use = socket_.use();
  return socket_.wait(POLLIN, deadline);
}

MULTIPROCESSING_INLINE void SocketStream::hang_up() {
  auto const use = socket_.use();
  os::end_connection(use.get());
}

MULTIPROCESSING_INLINE bool SocketStream::Head::is_valid() const noexcept {
  return magic == kMagic && kind >= Kind::Bytes && kind <= Kind::Handshake && size <= kMostBytes;
}

MULTIPROCESSING_INLINE void SocketStream::send_all(int socket, std::span<iovec> parts,
                                                   std::size_t size, base::Deadline deadline) {
  std::size_t sent = 0;
  try {
    while (sent < size) {
      auto const step = os::send_some(socket, parts);
      if (step.result == os::Transfer::PeerGone) {
        throw BrokenPipeError("send: the other end is closed");
      }
      sent += step.bytes;
      advance(parts, step.bytes);
      if (step.result == os::Transfer::WouldBlock && !socket_.wait(POLLOUT, deadline)) {
        throw TimeoutError(sent == 0 ? "send: no room in time"
                                     : "send: cut off in the middle of a message");
      }
    }
  } catch (...) {
    if (sent != 0) {
      cut_off_ = true;
      os::end_sending(socket);
    }
    throw;
  }
}

MULTIPROCESSING_INLINE void SocketStream::advance(std::span<iovec> parts,
                                                  std::size_t bytes) noexcept {
  for (auto& part : parts) {
    auto const step = std::min(part.iov_len, bytes);
    part.iov_base = static_cast<std::byte*>(part.iov_base) + step;
    part.iov_len -= step;
    bytes -= step;
  }
}

MULTIPROCESSING_INLINE bool SocketStream::fill(int socket, std::span<std::byte> room,
                                               std::size_t& filled, base::Deadline deadline) {
  while (filled < room.size()) {
    auto const step = os::receive_some(socket, room.subspan(filled));
    if (step.result == os::Transfer::PeerGone) {
      throw EOFError(incoming_.head_filled == 0
                         ? "receive: the other end is closed"
                         : "receive: the other end was closed in the middle of a message");
    }
    filled += step.bytes;
    if (step.result == os::Transfer::WouldBlock && !socket_.wait(POLLIN, deadline)) return false;
  }
  return true;
}

MULTIPROCESSING_INLINE bool SocketStream::fill_body(int socket, base::Deadline deadline) {
  // Memory is used as bytes come, not as a head promises: zeros are written into a cache only.
  constexpr std::size_t kStep = std::size_t{1} << 20;
  auto& [head, head_filled, body, filled] = incoming_;
  body.reserve(head.size);
  while (filled < head.size) {
    body.resize(std::min<std::size_t>(head.size, filled - filled % kStep + kStep));
    if (!fill(socket, body, filled, deadline)) return false;
  }
  return true;
}

}  // namespace multiprocessing::channel
