// SPDX-License-Identifier: BSL-1.0
// Serves other programs: a thread for each connection, in the process that asks for it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/channel/acceptor.hpp>
#include <multiprocessing/channel/address.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/launch/log.hpp>
#include <multiprocessing/serve/exposed_type.hpp>
#include <multiprocessing/serve/network_request.hpp>
#include <multiprocessing/serve/network_streams.hpp>
#include <multiprocessing/serve/session.hpp>
#include <multiprocessing/serve/visits.hpp>

namespace multiprocessing::serve {

class NetworkServer {
 public:
  /// Throws: as Acceptor.
  NetworkServer(std::shared_ptr<ExposedTypes const> types, Address const& address,
                channel::AcceptorOptions const& options);

  Address const& address() const noexcept { return acceptor_.address(); }

  /// Others get the object by this name. Threads: safe.
  /// Throws: std::invalid_argument when the class is not registered, or the name taken.
  template <class T>
  void share(std::string const& name, std::shared_ptr<T> object) {
    auto const& type = types_->at(typeid(T));
    if (object == nullptr) {
      throw std::invalid_argument("ManagerServer.share: there is no object for \"" + name + '"');
    }
    auto shared = std::make_shared<ExposedObject>();
    shared->value = std::move(object);
    std::lock_guard const guard(mutex_);
    for (auto const& [its_name, each] : shared_) {  // of one object there is one lock
      if (each.object->value == shared->value) shared = each.object;
    }
    if (!shared_.emplace(name, Exposed{&type, std::move(shared)}).second) {
      throw std::invalid_argument("ManagerServer.share: the name \"" + name + "\" is taken");
    }
  }

  /// Blocks: until close(); then until the calls that run have returned, and been answered if that
  /// is within `grace`.
  void run(std::chrono::milliseconds grace);

  /// Makes run() return. Threads: safe.
  void close() noexcept;

 private:
  using Stream = channel::SocketStream;

  void accept();
  void count_running(int more) noexcept;

  /// Tells why it is not served. REQUIRES: called while an exception is handled.
  static void refuse(Stream& stream) noexcept;

  void serve(Visit<Stream>& visit) noexcept;

  /// Also for processes that were forked meanwhile, and have a copy of the descriptor.
  static void hang_up(Stream& stream) noexcept;

  /// Null: it has been stopped. Throws: what has been told the client, too.
  std::shared_ptr<Session> greet(Visit<Stream>& visit);

  /// False: it has been stopped.
  bool answer_next(Visit<Stream>& visit, Session& session);

  /// nullopt: it was too large for this machine's memory, and is skipped.
  static std::optional<wire::Bytes> receive_what_fits(Stream& stream);

  void answer(Session& session, NetworkRequest const& request, std::span<std::byte const> rest,
              wire::Bytes& reply);

  Exposed make(NetworkRequest const& request, std::span<std::byte const> args) const;

  Exposed get(NetworkRequest const& request) const;

  static void call(Exposed const& exposed, NetworkRequest const& request,
                   std::span<std::byte const> args, wire::Bytes& reply);

  void wait_until_closed(base::Deadline deadline);
  void wait_until_over(base::Deadline deadline);

  std::shared_ptr<ExposedTypes const> const types_;

  mutable std::mutex mutex_;
  std::map<std::string, Exposed, std::less<>> shared_;  // guarded by mutex_

  std::mutex changing_;
  std::condition_variable changed_;  // a visit is over, or the acceptor closed
  int running_ = 0;                  // visits; guarded by changing_

  std::shared_ptr<NetworkStreams> const streams_ = NetworkStreams::make();
  Sessions sessions_;
  channel::Acceptor acceptor_;
  Visits<Stream> visits_;  // of who runs it
};

}  // namespace multiprocessing::serve

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/serve/network_server.ipp>
#endif
