// SPDX-License-Identifier: BSL-1.0
// A listening socket, and those who have connected to it and not yet proved that they may.
//
// Proofs go on side by side, while somebody accepts: one who connects and says nothing is in
// nobody's way, and is turned away when its time is over.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/channel/address.hpp>
#include <multiprocessing/channel/authentication.hpp>
#include <multiprocessing/channel/closable_fd.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/socket.hpp>

namespace multiprocessing::channel {

struct AcceptorOptions {
  int family = AF_UNSPEC;
  int backlog = 128;
  AuthKey key = {};
  /// A path that a killed listener has left behind: an error, or taken over.
  enum class StalePath { Refuse, Replace } stale_path = StalePath::Refuse;
  /// More than any honest side needs to answer, on any network.
  base::Deadline::Clock::duration proof_time = std::chrono::seconds(10);
};

/// Threads: all members safe. Fork: parent and child may both accept. Not while another thread of
/// the parent was in accept() at the fork.
class Acceptor {
 public:
  /// So many prove at a time; others wait in the backlog.
  static constexpr std::size_t kMostProving = 64;

  /// Throws: std::invalid_argument for what can not be listened at, or not without a key;
  /// std::system_error, EADDRINUSE when somebody else listens there, or the path is there.
  Acceptor(Address const& address, AcceptorOptions const& options)
      : Acceptor(listen(address, options), address, options) {}
  Acceptor(Acceptor const&) = delete;
  Acceptor& operator=(Acceptor const&) = delete;
  ~Acceptor() { close(); }

  /// Null once the deadline has passed. Throws: AuthenticationError when somebody was turned away;
  /// std::system_error, EBADF when it is closed, also meanwhile.
  std::unique_ptr<SocketStream> accept(base::Deadline deadline);

  Address const& address() const noexcept { return address_; }
  /// Of who was accepted last; empty when that has no name, or there was none.
  std::string last_accepted() const;
  int fileno() const noexcept { return socket_.fileno(); }
  [[nodiscard]] bool closed() const noexcept { return socket_.closed(); }

  /// Removes the path, in the process that made it; unless somebody else has taken it.
  void close() noexcept;

 private:
  struct Proving {
    Handshake handshake;
    std::string peer;
    base::Deadline deadline;
  };

  Acceptor(os::Fd socket, Address const& address, AcceptorOptions const& options)
      : address_(address.is_local() ? address : Address(os::local_address(socket).text())),
        path_(address.is_path() ? address.str() : ""),
        key_(options.key),
        proof_time_(options.proof_time),
        file_(address.is_path() ? os::file_identity(path_.c_str()) : std::nullopt),
        socket_(std::move(socket), "listener") {}

  static os::Fd listen(Address const& address, AcceptorOptions const& options);

  /// Null when it has yet to prove that it may.
  std::unique_ptr<SocketStream> receive_guest(os::Accepted accepted);

  /// One who has proved that it may; null when there is none.
  std::unique_ptr<SocketStream> advance_proofs();

  std::unique_ptr<SocketStream> welcome(std::unique_ptr<SocketStream> stream, std::string peer);

  /// Until there is something to do.
  void wait(int socket, base::Deadline deadline);

  // Constant after construction.
  Address const address_;
  std::string const path_;
  AuthKey const key_;
  base::Deadline::Clock::duration const proof_time_;
  std::optional<os::FileIdentity> const file_;
  pid_t const maker_ = os::this_pid();

  ClosableFd socket_;

  std::timed_mutex accepting_;
  std::list<Proving> proving_;         // guarded by accepting_
  pid_t proving_in_ = os::this_pid();  // a child's copies are the parent's; guarded by accepting_

  mutable std::mutex last_mutex_;
  std::string last_accepted_;  // guarded by last_mutex_
};

}  // namespace multiprocessing::channel

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/channel/acceptor.ipp>
#endif
