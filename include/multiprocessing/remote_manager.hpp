// SPDX-License-Identifier: BSL-1.0
// Objects of a ManagerServer in another program.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <multiprocessing/channel/address.hpp>         // IWYU pragma: export
#include <multiprocessing/channel/authentication.hpp>  // IWYU pragma: export
#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/serve/converted.hpp>
#include <multiprocessing/serve/exposed_type.hpp>
#include <multiprocessing/serve/network_client.hpp>
#include <multiprocessing/serve/network_request.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/refusal.hpp>

namespace multiprocessing {

/// Python: the arguments of BaseManager that connect() uses.
struct RemoteManagerOptions {
  /// Of the server.
  Address address = {};
  /// The server's; none: it asks for none.
  AuthKey authkey = {};
  /// For connecting, and the proofs. None: as long as it takes.
  std::optional<std::chrono::nanoseconds> timeout = {};
  /// AF_UNIX, AF_INET or AF_INET6; AF_UNSPEC: what the address is.
  int family = AF_UNSPEC;
};

class RemoteManager;

namespace remote_manager_detail {

/// A session, and what a process that was forked since has in place of it.
class Connected {
 public:
  Connected(std::shared_ptr<serve::ExposedTypes const> its_types, serve::NetworkAddress address)
      : types(std::move(its_types)), client(std::move(address)) {}

  std::shared_ptr<serve::ExposedTypes const> const types;
  serve::NetworkClient client;

  /// `own` itself, or the one of this forked child: what it makes is its own, and goes with it.
  static std::shared_ptr<Connected> of_this_process(std::shared_ptr<Connected> const& own) {
    if (own->client.is_of_this_process()) return own;
    {
      os::ForkGateGuard const gate;
      auto const& child = own->child_;
      if (child != nullptr && child->client.is_of_this_process()) return child;
    }
    auto fresh = std::make_shared<Connected>(own->types, own->client.server());
    os::ForkGateGuard const gate;
    auto& child = own->child_;
    if (child == nullptr || !child->client.is_of_this_process()) child = std::move(fresh);
    return child;
  }

 private:
  std::shared_ptr<Connected> child_;  // guarded by the gate
};

/// What all handles of an object that are copies of each other have.
struct Possession {
  std::shared_ptr<Connected> connected;
  std::uint64_t number;

  Possession(std::shared_ptr<Connected> through, std::uint64_t its)
      : connected(std::move(through)), number(its) {}
  Possession(Possession const&) = delete;
  Possession& operator=(Possession const&) = delete;
  ~Possession() {
    if (connected->client.is_of_this_process()) connected->client.release(number);
  }
};

}  // namespace remote_manager_detail

/// A handle of an object in a ManagerServer's process. A copy is the same object. What a client has
/// made goes with its last handle, or with its process, in any way it ends.
/// Threads: all members safe, and calls of several go on at once. Fork: in a child, handles of
/// before are good as long as the parent has its own; what the child makes is its own. Peer death:
/// BrokenPipeError; the call has happened, or not. A machine that vanishes is noticed after one to
/// two minutes. Python: the proxies of multiprocessing.managers. Differs: not sent to other
/// processes, which connect by themselves.
template <class T>
class RemoteProxy {
 public:
  /// Calls the member function, which is registered as a method, with copies of the arguments.
  /// Blocks: until it has returned. Throws: what it throws, with where as its last cause;
  /// std::invalid_argument when it is not registered; TypeError when the server knows it with other
  /// types; PicklingError; BrokenPipeError.
  template <class R, class C, class... Parameters, class... Args>
  requires(sizeof...(Parameters) == sizeof...(Args)) auto call(R (C::*method)(Parameters...),
                                                               Args&&... args) const {
    return call_registered<R>(method, serve::converted<Parameters>(std::forward<Args>(args))...);
  }
  template <class R, class C, class... Parameters, class... Args>
  requires(sizeof...(Parameters) == sizeof...(Args)) auto call(R (C::*method)(Parameters...) const,
                                                               Args&&... args) const {
    return call_registered<R>(method, serve::converted<Parameters>(std::forward<Args>(args))...);
  }
  /// The same, by its name: `call<int>("deposit", 5)`. Arguments are of the very types that it
  /// takes, text is a std::string.
  template <class Result, class... Args>
  Result call(std::string_view method, Args const&... args) const {
    return call_named<Result>(std::string(method), serve::Sent<Args>(args)...);
  }

  /// Whether both are the same handle, or copies of one.
  friend bool operator==(RemoteProxy const&, RemoteProxy const&) = default;

 private:
  friend RemoteManager;
  explicit RemoteProxy(std::shared_ptr<remote_manager_detail::Possession const> possession)
      : possession_(std::move(possession)) {}

  template <class R, class Method, class... Args>
  auto call_registered(Method method, Args const&... args) const {
    static_assert(std::is_invocable_v<Method, T&, Args...>,
                  "multiprocessing: it is no member function of the object's class");
    auto const& type = possession_->connected->types->at(typeid(T));
    return call_named<std::remove_cvref_t<R>>(type.name_of(method), args...);
  }
  template <class Result, class... Args>
  Result call_named(std::string name, Args const&... args) const {
    (wire::require_picklable<Args>(), ...);
    if constexpr (!std::is_void_v<Result>) wire::require_picklable<Result>();
    serve::NetworkRequest request;
    request.verb = serve::NetworkRequest::Verb::Call;
    request.object = possession_->number;
    request.name = std::move(name);
    request.signature = serve::Signature::of<Result, Args...>();
    auto bytes = serve::NetworkClient::encoded(request);
    (wire::encode(bytes, args), ...);
    return possession_->connected->client.template call<Result>({"RemoteProxy", "call"}, bytes);
  }

  std::shared_ptr<remote_manager_detail::Possession const> possession_;
};

/// What BaseManager::connect() returns: a session with a server. A handle: a copy is the same
/// session. Objects made in it go with it, if their handles have not before.
/// Threads: all members safe. Fork: as RemoteProxy. Peer death: BrokenPipeError of every call; to
/// go on, connect again. Python: a BaseManager after connect()
class RemoteManager {
 public:
  /// Not called by users. Throws: as Client().
  RemoteManager(std::shared_ptr<serve::ExposedTypes const> types,
                RemoteManagerOptions const& options)
      : connected_(std::make_shared<remote_manager_detail::Connected>(
            std::move(types), serve::NetworkAddress{options.address, options.family,
                                                    options.authkey, options.timeout})) {}

  /// A T(args...) in the server. The arguments are of the very types that it is registered with,
  /// text is a std::string. Throws: what its constructor throws; std::invalid_argument when T is
  /// not registered, here or there; TypeError for other types; BrokenPipeError.
  template <class T, class... Args>
  RemoteProxy<T> create(Args const&... args) const {
    (wire::require_picklable<serve::Sent<Args>>(), ...);
    serve::NetworkRequest request;
    request.verb = serve::NetworkRequest::Verb::Make;
    request.name = connected_->types->at(typeid(T)).name;
    request.signature = serve::Signature::of<void, serve::Sent<Args>...>();
    auto bytes = serve::NetworkClient::encoded(request);
    (wire::encode(bytes, serve::Sent<Args>(args)), ...);
    return proxy<T>({"RemoteManager", "create"}, bytes);
  }
  /// The object that the server shares by this name. Throws: std::invalid_argument when there is
  /// none, or T is not registered here; TypeError when it is no T; BrokenPipeError.
  template <class T>
  RemoteProxy<T> get(std::string_view name) const {
    serve::NetworkRequest request;
    request.verb = serve::NetworkRequest::Verb::Get;
    request.name = name;
    request.type = connected_->types->at(typeid(T)).name;
    return proxy<T>({"RemoteManager", "get"}, serve::NetworkClient::encoded(request));
  }

  /// Of the server.
  Address const& address() const noexcept { return connected_->client.server().address; }

 private:
  template <class T>
  RemoteProxy<T> proxy(channel::Call call, wire::Bytes const& request) const {
    auto const connected = remote_manager_detail::Connected::of_this_process(connected_);
    auto const number = connected->client.call<std::uint64_t>(call, request);
    return RemoteProxy<T>(
        std::make_shared<remote_manager_detail::Possession const>(connected, number));
  }

  std::shared_ptr<remote_manager_detail::Connected> connected_;
};

}  // namespace multiprocessing
