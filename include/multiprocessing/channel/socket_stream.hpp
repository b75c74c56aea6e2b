// SPDX-License-Identifier: BSL-1.0
// Messages over a stream socket.
//
//   message = [ magic (4) | kind (4) | size (8) | type (8) | size bytes ]
//
// Numbers are as this processor writes them: both sides are builds of one program. What of a
// message has come before a deadline passes is kept for the next call.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/closable_fd.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/wire/encoder.hpp>

namespace multiprocessing::channel {

/// What a message is, for who receives it.
enum class Kind : std::uint32_t {
  Bytes = 1,  ///< of the user
  Value,      ///< encoded; the message's type says of what
  Handshake,  ///< before the first message; see authentication.hpp
};

struct Message {
  Kind kind;
  std::uint64_t type;
  wire::Bytes bytes;
};

/// Owns no lock once the deadline has passed.
std::unique_lock<std::timed_mutex> lock_by(std::timed_mutex& mutex, base::Deadline deadline);

/// One end of a connection. Threads: all members safe; of several threads that send, or receive,
/// one does so at a time. Processes: a fork shares the connection; at most one of them may send,
/// and one receive. Fork: not while another thread is inside a call of the direction that the child
/// uses. Peer death: see receive() and send().
class SocketStream {
 public:
  /// No message can be longer.
  static constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 40;
  static constexpr std::size_t kAnySize = std::numeric_limits<std::size_t>::max();

  explicit SocketStream(os::Fd socket) : socket_(std::move(socket), "connection") {}

  /// Blocks: while the other side does not receive, and the kernel's buffers are full.
  /// Peer death: BrokenPipeError when the last holder of the other end is gone; what was sent
  /// before may or may not have been received. Throws: TimeoutError when the deadline passes. If a
  /// part of the message was on its way already, no other can follow: the other side then gets
  /// EOFError, and further sends BrokenPipeError. std::length_error; std::system_error, EBADF when
  /// this end is closed, also meanwhile.
  void send(Kind kind, std::uint64_t type, std::span<std::byte const> message,
            base::Deadline deadline = base::Deadline::never());

  /// Whether a message was cut off, so that no other can follow.
  bool is_cut_off();

  /// The next message; nullopt once the deadline has passed.
  /// Blocks: until one is there as a whole. Peer death: EOFError once all is read and the last
  /// holder of the other end is gone, also by SIGKILL; the text tells where a message breaks off.
  /// Over TCP what was on its way is lost when the other end is closed with something unread.
  /// Throws: BufferTooShort when it is longer than `most`; it stays. UnpicklingError when what
  /// comes is no message. AuthenticationError when the other side asks for a key, and this one has
  /// none. std::system_error, EBADF when this end is closed, also meanwhile. std::bad_alloc; it
  /// stays.
  std::optional<Message> receive(base::Deadline deadline, std::size_t most = kAnySize);

  /// As receive(), also of Kind::Handshake.
  std::optional<Message> receive_any(base::Deadline deadline, std::size_t most = kAnySize);

  /// Reads the next message away, or what is still to come of it. Blocks, throws: as receive().
  void skip(base::Deadline deadline);

  /// Whether there is something to receive, at least the beginning of a message, or the end of
  /// file. Takes nothing. Blocks: until there is. Throws: std::system_error, EBADF as above.
  bool poll(base::Deadline deadline);

  /// The socket, readable when poll() is true; -1 when it is closed.
  int fileno() const noexcept { return socket_.fileno(); }
  /// Whoever waits in this process gets std::system_error; the other side, EOFError once no other
  /// process holds this end.
  void close() noexcept { socket_.close(); }
  [[nodiscard]] bool closed() const noexcept { return socket_.closed(); }

  /// Ends the connection for all who hold this end.
  void hang_up();

 private:
  struct Head {
    std::uint32_t magic = kMagic;
    Kind kind{};
    std::uint64_t size = 0;
    std::uint64_t type = 0;

    bool is_valid() const noexcept;
  };
  static_assert(sizeof(Head) == 24, "the head has no padding");

  // Not the first letters of any protocol, nor valid in the other byte order.
  static constexpr std::uint32_t kMagic = 0x01436d70;

  struct Incoming {
    Head head;
    std::size_t head_filled = 0;
    wire::Bytes body;
    std::size_t body_filled = 0;
  };

  void send_all(int socket, std::span<iovec> parts, std::size_t size, base::Deadline deadline);

  static void advance(std::span<iovec> parts, std::size_t bytes) noexcept;

  /// Whether `room` was filled before the deadline passed.
  bool fill(int socket, std::span<std::byte> room, std::size_t& filled, base::Deadline deadline);

  bool fill_body(int socket, base::Deadline deadline);

  ClosableFd socket_;

  std::timed_mutex sending_;
  bool cut_off_ = false;  // guarded by sending_

  std::timed_mutex receiving_;
  Incoming incoming_;  // guarded by receiving_
};

}  // namespace multiprocessing::channel

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/channel/socket_stream.ipp>
#endif
