// SPDX-License-Identifier: BSL-1.0
// Serves other programs: a thread for each connection, in the process that asks for it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/acceptor.hpp>
#include <multiprocessing/channel/address.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/launch/log.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/serve/end_of_copy.hpp>
#include <multiprocessing/serve/exposed_type.hpp>
#include <multiprocessing/serve/network_request.hpp>
#include <multiprocessing/serve/network_streams.hpp>
#include <multiprocessing/serve/session.hpp>
#include <multiprocessing/serve/visits.hpp>
#include <multiprocessing/wire/archive.hpp>

namespace multiprocessing::serve {

class NetworkServer {
 public:
  /// Throws: as Acceptor.
  NetworkServer(std::shared_ptr<ExposedTypes const> types, Address const& address,
                channel::AcceptorOptions const& options)
      : types_(std::move(types)), acceptor_(address, options) {
    os::count_forks();
  }

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
  void run(std::chrono::milliseconds grace) {
    while (!acceptor_.closed()) {
      try {
        accept();
      } catch (AuthenticationError const& error) {
        launch::log(LogLevel::info, "a manager has turned somebody away: ", error.what());
      } catch (std::exception const& error) {  // no memory, no descriptor is left
        if (acceptor_.closed()) break;
        launch::log(LogLevel::warning, "a manager can not accept: ", error.what());
        // Whatever is given back, no descriptor tells it.
        constexpr auto kPause = std::chrono::milliseconds(50);
        wait_until_closed(base::Deadline::after(kPause));
      }
    }
    auto const close = [](Stream& stream) {
      hang_up(stream);
      stream.close();
    };
    visits_.stop(close);
    wait_until_over(base::Deadline::after(grace));
    visits_.abandon(close);
    visits_.join();
  }

  /// Makes run() return. Threads: safe.
  void close() noexcept {
    acceptor_.close();
    count_running(0);  // for who waits until it is closed
  }

 private:
  using Stream = channel::SocketStream;

  void accept() {
    std::shared_ptr<Stream> stream = acceptor_.accept(base::Deadline::never());
    if (stream == nullptr) return;
    streams_->add(stream);
    count_running(+1);
    visits_.begin(
        std::move(stream),
        [this](Visit<Stream>& visit) {
          serve(visit);
          count_running(-1);
        },
        [this](Stream& its) {
          refuse(its);
          count_running(-1);
        });
  }
  void count_running(int more) noexcept {
    {
      std::lock_guard const guard(changing_);
      running_ += more;
    }
    changed_.notify_all();
  }

  /// Tells why it is not served. REQUIRES: called while an exception is handled.
  static void refuse(Stream& stream) noexcept {
    try {
      // What it says is not read: the reply has room in the kernel's buffers.
      auto const reply = exception_reply();
      stream.send(channel::Kind::Value, kNetworkProtocol, reply, base::Deadline::now());
    } catch (std::exception const&) {  // it sees that the connection has ended
    }
  }

  void serve(Visit<Stream>& visit) noexcept {
    try {
      EndOfCopy const end_copy;  // also for destructors of objects
      auto const session = greet(visit);
      while (session != nullptr && answer_next(visit, *session)) {
      }
    } catch (std::exception const&) {  // it has gone, or is stopped, or there is no memory
    }
    hang_up(visit.end());
    visit.drop_end();
  }

  /// Also for processes that were forked meanwhile, and have a copy of the descriptor.
  static void hang_up(Stream& stream) noexcept {
    try {
      stream.hang_up();
    } catch (std::exception const&) {  // it is closed
    }
  }

  /// Null: it has been stopped. Throws: what has been told the client, too.
  std::shared_ptr<Session> greet(Visit<Stream>& visit) {
    auto& stream = visit.end();
    // More than any honest side needs on any network.
    constexpr auto kTimeToBegin = std::chrono::seconds(10);
    if (!visit.set_answering(false)) return nullptr;
    auto const message = receive_network(stream, base::Deadline::after(kTimeToBegin));
    if (!visit.set_answering(true)) return nullptr;
    std::shared_ptr<Session> session;
    auto reply = value_reply();
    try {
      std::span<std::byte const> bytes = message;
      auto const request = take_foreign<NetworkRequest>(bytes);
      if (request.verb == NetworkRequest::Verb::Join) {
        session = sessions_.join(request.session);
      } else if (request.verb == NetworkRequest::Verb::Begin) {
        auto [key, its] = sessions_.begin();
        session = std::move(its);
        wire::encode(reply, key);
      } else {
        throw UnpicklingError("the connection does not begin with a session");
      }
    } catch (std::exception const& error) {
      launch::log(LogLevel::info, "a manager has turned somebody away: ", error.what());
      send_network(stream, exception_reply());
      throw;
    }
    send_network(stream, reply);
    return session;
  }

  /// False: it has been stopped.
  bool answer_next(Visit<Stream>& visit, Session& session) {
    if (!visit.set_answering(false)) return false;
    auto const message = receive_what_fits(visit.end());
    if (!visit.set_answering(true)) return false;
    auto reply = value_reply();
    try {
      if (!message) throw std::bad_alloc();
      EndOfCopy const end_copy;
      std::span<std::byte const> bytes = *message;
      auto const request = take_foreign<NetworkRequest>(bytes);
      if (request.verb == NetworkRequest::Verb::Release) {
        session.remove(request.object);
        return true;
      }
      answer(session, request, bytes, reply);
    } catch (...) {
      reply = exception_reply();
    }
    send_network(visit.end(), reply);
    return true;
  }

  /// nullopt: it was too large for this machine's memory, and is skipped.
  static std::optional<wire::Bytes> receive_what_fits(Stream& stream) {
    try {
      return receive_network(stream);
    } catch (std::bad_alloc const&) {
      stream.skip(base::Deadline::never());
      return std::nullopt;
    }
  }

  void answer(Session& session, NetworkRequest const& request, std::span<std::byte const> rest,
              wire::Bytes& reply) {
    switch (request.verb) {
      case NetworkRequest::Verb::Make:
        return wire::encode(reply, session.add(make(request, rest)));
      case NetworkRequest::Verb::Get:
        return wire::encode(reply, session.add(get(request)));
      case NetworkRequest::Verb::Call:
        return call(session.at(request.object), request, rest, reply);
      default:
        throw UnpicklingError("the request is none");
    }
  }

  Exposed make(NetworkRequest const& request, std::span<std::byte const> args) const {
    auto const* const type = types_->find(request.name);
    if (type == nullptr)
      throw std::invalid_argument("no class \"" + request.name + "\" is registered");
    if (!type->make) throw std::invalid_argument("others can not make a " + request.name);
    if (type->constructor != request.signature) {
      throw TypeError(request.name + " is made by " + type->constructor_declaration +
                      ", and was asked for with other types, or by another compiler's program");
    }
    auto object = std::make_shared<ExposedObject>();
    object->value = type->make(args);
    return {type, std::move(object)};
  }

  Exposed get(NetworkRequest const& request) const {
    std::lock_guard const guard(mutex_);
    auto const found = shared_.find(request.name);
    if (found == shared_.end()) {
      throw std::invalid_argument("no object \"" + request.name + "\" is shared");
    }
    auto const& its_type = found->second.type->name;
    if (its_type != request.type) {
      throw TypeError("\"" + request.name + "\" is a " + its_type + ", not a " + request.type);
    }
    return found->second;
  }

  static void call(Exposed const& exposed, NetworkRequest const& request,
                   std::span<std::byte const> args, wire::Bytes& reply) {
    auto const& method = exposed.type->method(request.name);
    if (method.signature != request.signature) {
      throw TypeError(exposed.type->name + "." + request.name + " is " + method.declaration +
                      ", and was called with other types, or by another compiler's program");
    }
    method.call(*exposed.object, args, reply);
  }

  void wait_until_closed(base::Deadline deadline) {
    std::unique_lock guard(changing_);
    changed_.wait_until(guard, deadline.time(), [this] { return acceptor_.closed(); });
  }
  void wait_until_over(base::Deadline deadline) {
    std::unique_lock guard(changing_);
    changed_.wait_until(guard, deadline.time(), [this] { return running_ == 0; });
  }

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
