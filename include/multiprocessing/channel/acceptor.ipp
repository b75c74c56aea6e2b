// SPDX-License-Identifier: BSL-1.0
// The bodies of acceptor.hpp.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/channel/acceptor.hpp>
#include <multiprocessing/channel/address.hpp>
#include <multiprocessing/channel/authentication.hpp>
#include <multiprocessing/channel/closable_fd.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/socket.hpp>

namespace multiprocessing::channel {

MULTIPROCESSING_INLINE std::unique_ptr<SocketStream> Acceptor::accept(base::Deadline deadline) {
  auto const lock = lock_by(accepting_, deadline);
  if (!lock) return nullptr;
  auto const use = socket_.use();
  if (std::exchange(proving_in_, os::this_pid()) != os::this_pid()) proving_.clear();
  for (;;) {
    if (auto stream = advance_proofs()) return stream;
    if (proving_.size() < kMostProving) {
      if (auto accepted = os::accept_from(use.get())) {
        if (auto stream = receive_guest(std::move(*accepted))) return stream;
        continue;
      }
    }
    if (deadline.passed()) return nullptr;
    wait(use.get(), deadline);
  }
}

MULTIPROCESSING_INLINE std::string Acceptor::last_accepted() const {
  std::lock_guard const lock(last_mutex_);
  return last_accepted_;
}

MULTIPROCESSING_INLINE void Acceptor::close() noexcept {
  bool const is_mine = maker_ == os::this_pid() && file_ && !closed();
  if (is_mine && os::file_identity(path_.c_str()) == file_) {
    os::remove_file(path_);
  }
  socket_.close();
}

MULTIPROCESSING_INLINE os::Fd Acceptor::listen(Address const& address,
                                               AcceptorOptions const& options) {
  require_proof(address.is_local(), options.key);
  auto const place = address.resolve(options.family).front();
  if (!address.is_path()) return os::listen_at(place, options.backlog);
  os::FolderLock const lock(address.str());
  bool const may_replace =
      lock.is_mine() && options.stale_path == AcceptorOptions::StalePath::Replace;
  try {
    return os::listen_at(place, options.backlog);
  } catch (std::system_error const& error) {
    if (error.code() != std::errc::address_in_use || !may_replace) throw;
    if (!os::remove_stale_path(address.str())) throw;
  }
  return os::listen_at(place, options.backlog);
}

MULTIPROCESSING_INLINE std::unique_ptr<SocketStream> Acceptor::receive_guest(
    os::Accepted accepted) {
  auto peer = accepted.peer.text();
  int const socket = accepted.socket.get();
  auto stream = std::make_unique<SocketStream>(std::move(accepted.socket));
  if (!key_.is_there()) {
    check_peer_user(socket);
    return welcome(std::move(stream), std::move(peer));
  }
  try {
    proving_.push_back({Handshake(Handshake::Role::Listener, std::move(stream), key_),
                        std::move(peer), base::Deadline::after(proof_time_)});
  } catch (EOFError const& error) {
    throw AuthenticationError(error.what());
  }
  return nullptr;
}

MULTIPROCESSING_INLINE std::unique_ptr<SocketStream> Acceptor::advance_proofs() {
  for (auto one = proving_.begin(); one != proving_.end();) {
    try {
      if (one->handshake.advance()) {
        std::list<Proving> done;
        done.splice(done.end(), proving_, one);
        return welcome(done.front().handshake.take_stream(), std::move(done.front().peer));
      }
      if (one->deadline.passed()) one->handshake.refuse("did not prove in time to know the key");
      ++one;
    } catch (EOFError const& error) {
      proving_.erase(one);
      throw AuthenticationError(error.what());
    } catch (...) {
      proving_.erase(one);
      throw;
    }
  }
  return nullptr;
}

MULTIPROCESSING_INLINE std::unique_ptr<SocketStream> Acceptor::welcome(
    std::unique_ptr<SocketStream> stream, std::string peer) {
  std::lock_guard const lock(last_mutex_);
  last_accepted_ = std::move(peer);
  return stream;
}

MULTIPROCESSING_INLINE void Acceptor::wait(int socket, base::Deadline deadline) {
  std::vector<pollfd> entries;
  entries.push_back({.fd = socket_.waker(), .events = POLLIN, .revents = 0});
  for (auto const& one : proving_) {
    entries.push_back({.fd = one.handshake.stream().fileno(), .events = POLLIN, .revents = 0});
    deadline = earlier(deadline, one.deadline);
  }
  if (proving_.size() < kMostProving) {
    entries.push_back({.fd = socket, .events = POLLIN, .revents = 0});
  }
  if (!socket_.closed()) os::poll_until(entries, deadline);
  if (socket_.closed()) socket_.throw_closed();
}

}  // namespace multiprocessing::channel
