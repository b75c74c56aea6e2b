// SPDX-License-Identifier: BSL-1.0
// Objects of this process for programs that are no relatives, or run on other machines.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <multiprocessing/channel/acceptor.hpp>
#include <multiprocessing/channel/address.hpp>         // IWYU pragma: export
#include <multiprocessing/channel/authentication.hpp>  // IWYU pragma: export
#include <multiprocessing/serve/exposed_type.hpp>
#include <multiprocessing/serve/network_server.hpp>

namespace multiprocessing {

/// Python: the arguments of BaseManager and its get_server.
struct ManagerServerOptions {
  /// None: one that nobody else has, of the family. One that has been served before can be served
  /// again at once; also a path that a killed server has left behind.
  Address address = {};
  /// As a Listener's: TCP needs one. Nothing is encrypted.
  AuthKey authkey = {};
  /// AF_UNIX, AF_INET or AF_INET6; AF_UNSPEC: what the address is.
  int family = AF_UNSPEC;
  /// How long calls that run when it is shut down may take to be answered.
  std::chrono::milliseconds grace = std::chrono::seconds(1);
};

/// What BaseManager::serve() returns. Listens from its construction on, and serves in
/// serve_forever(): there is a thread for each connection then, in this process.
/// Threads: all members safe; serve_forever() in one. Processes: its creator only.
/// Python: what BaseManager.get_server() returns
class ManagerServer {
 public:
  /// Not called by users. Throws: as Listener's constructor.
  ManagerServer(std::shared_ptr<serve::ExposedTypes const> types,
                ManagerServerOptions const& options)
      : grace_(options.grace),
        server_(
            std::move(types),
            options.address.is_none() ? Address::random(options.family) : options.address,
            channel::AcceptorOptions{.family = options.family,
                                     .key = options.authkey,
                                     .stale_path = channel::AcceptorOptions::StalePath::Replace}) {}
  ManagerServer(ManagerServer const&) = delete;
  ManagerServer& operator=(ManagerServer const&) = delete;

  /// With the port that was chosen.
  Address const& address() const noexcept { return server_.address(); }

  /// An object of a registered class that all clients get by this name, and that stays when they
  /// have gone. Throws: std::invalid_argument when the name is taken, or the class not registered.
  template <class T>
  void share(std::string const& name, std::shared_ptr<T> object) {
    static_assert(!std::is_const_v<T>, "multiprocessing: what is shared can be changed");
    server_.share<T>(name, std::move(object));
  }

  /// Answers calls. Blocks: until shutdown() was called, and calls that run have returned: they are
  /// answered if that is within the grace. Whoever is turned away is logged, at LogLevel::info.
  void serve_forever() { server_.run(grace_); }

  /// Ends serve_forever(), or keeps it from beginning. Does not wait for it. Idempotent.
  void shutdown() noexcept { server_.close(); }

 private:
  std::chrono::milliseconds const grace_;
  serve::NetworkServer server_;
};

}  // namespace multiprocessing
