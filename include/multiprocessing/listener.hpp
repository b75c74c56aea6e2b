// SPDX-License-Identifier: BSL-1.0
// Connections between processes that are no relatives, or run on other machines.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/channel/acceptor.hpp>
#include <multiprocessing/channel/address.hpp>         // IWYU pragma: export
#include <multiprocessing/channel/authentication.hpp>  // IWYU pragma: export
#include <multiprocessing/channel/connector.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/socket_connection.hpp>

namespace multiprocessing {

/// Python: the arguments of multiprocessing.connection.Listener.
struct ListenerOptions {
  /// None: one that nobody else has, of the family; without a file.
  Address address = {};
  /// Both sides prove to each other that they know it. It may be empty, and hold any bytes. Nothing
  /// is encrypted. None: local addresses only, for processes of the same user, or root's.
  /// Needs the CMake target multiprocessing::authentication (OpenSSL).
  AuthKey authkey = {};
  /// So many may have connected before they are accepted; the next ones block. Python: differs, 1
  int backlog = 128;
  /// AF_UNIX, AF_INET or AF_INET6; AF_UNSPEC: what the address is.
  int family = AF_UNSPEC;
};

/// Python: the arguments of multiprocessing.connection.Client.
struct ClientOptions {
  /// Of the listener.
  Address address = {};
  AuthKey authkey = {};
  /// For all of it: connecting, and the proofs. None: as long as it takes. Python: differs, no such
  std::optional<std::chrono::nanoseconds> timeout = {};
  int family = AF_UNSPEC;
};

/// Where others connect to. Move-only; closed by its destructor.
/// Threads: all members safe. Processes: after a fork both may accept; the end of the parent's, or
/// child's, does not end the other's.
/// Python: multiprocessing.connection.Listener
class Listener {
 public:
  /// Throws: std::invalid_argument when the address can not be of the family, or it is TCP without
  /// an authkey, or there is an authkey and no OpenSSL; std::system_error, EADDRINUSE when somebody
  /// listens there, or the path is there, be it one that a killed listener has left behind.
  explicit Listener(ListenerOptions const& options = {})
      : acceptor_(std::make_unique<channel::Acceptor>(
            options.address.is_none() ? Address::random(options.family) : options.address,
            channel::AcceptorOptions{
                .family = options.family, .backlog = options.backlog, .key = options.authkey})) {}

  /// Blocks: until somebody has connected and proved to know the key.
  /// Throws: AuthenticationError when somebody did not, the listener lives on; std::system_error
  /// when it is closed, also meanwhile.
  SocketConnection accept() { return SocketConnection(accept_stream(base::Deadline::never())); }
  /// nullopt: nobody came within `timeout`.
  template <class Rep, class Period>
  [[nodiscard]] std::optional<SocketConnection> accept_for(
      std::chrono::duration<Rep, Period> timeout) {
    auto stream = accept_stream(base::Deadline::after(timeout));
    if (stream == nullptr) return std::nullopt;
    return SocketConnection(std::move(stream));
  }

  /// What these make a connection of; null once the deadline has passed.
  std::unique_ptr<channel::SocketStream> accept_stream(base::Deadline deadline) {
    return acceptor_->accept(deadline);
  }

  /// With the port that was chosen. Good for a Client.
  Address const& address() const noexcept { return acceptor_->address(); }
  /// "127.0.0.1:54321" of who was accepted last; empty when there was none, or it was local.
  std::string last_accepted() const { return acceptor_->last_accepted(); }
  /// Readable when somebody has connected; -1 when closed. After that accept() may still block,
  /// until they have proved to know the key.
  int fileno() const noexcept { return acceptor_->fileno(); }

  /// From now on nobody can connect, and accept() throws, also where another thread is in it
  /// already. Connections that were accepted stay. Removes the path, unless this is a forked copy.
  /// Idempotent.
  void close() noexcept { acceptor_->close(); }
  [[nodiscard]] bool closed() const noexcept { return acceptor_->closed(); }

 private:
  std::unique_ptr<channel::Acceptor> acceptor_;
};

/// What Client() makes a connection of.
inline std::unique_ptr<channel::SocketStream> connect_stream(ClientOptions const& options) {
  auto const deadline =
      options.timeout ? base::Deadline::after(*options.timeout) : base::Deadline::never();
  return channel::connect(options.address, options.family, options.authkey, deadline);
}

/// Connects to a listener. Blocks: until both sides have proved to know the key, or the timeout.
/// Throws: AuthenticationError, TimeoutError, std::system_error when nobody listens there,
/// std::invalid_argument as Listener's. Python: multiprocessing.connection.Client
[[nodiscard]] inline SocketConnection Client(ClientOptions const& options) {
  return SocketConnection(connect_stream(options));
}

}  // namespace multiprocessing
