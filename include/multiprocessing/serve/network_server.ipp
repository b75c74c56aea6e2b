// SPDX-License-Identifier: BSL-1.0
// The bodies of network_server.hpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/channel/acceptor.hpp>
#include <multiprocessing/channel/address.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/launch/log.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/serve/end_of_copy.hpp>
#include <multiprocessing/serve/exposed_type.hpp>
#include <multiprocessing/serve/network_request.hpp>
#include <multiprocessing/serve/network_server.hpp>
#include <multiprocessing/serve/network_streams.hpp>
#include <multiprocessing/serve/session.hpp>
#include <multiprocessing/serve/visits.hpp>
#include <multiprocessing/wire/archive.hpp>

namespace multiprocessing::serve {

MULTIPROCESSING_INLINE NetworkServer::NetworkServer(std::shared_ptr<ExposedTypes const> types,
                                                    Address const& address,
                                                    channel::AcceptorOptions const& options)
    : types_(std::move(types)), acceptor_(address, options) {
  os::count_forks();
}

MULTIPROCESSING_INLINE void NetworkServer::run(std::chrono::milliseconds grace) {
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

MULTIPROCESSING_INLINE void NetworkServer::close() noexcept {
  acceptor_.close();
  count_running(0);  // for who waits until it is closed
}

MULTIPROCESSING_INLINE void NetworkServer::accept() {
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

MULTIPROCESSING_INLINE void NetworkServer::count_running(int more) noexcept {
  {
    std::lock_guard const guard(changing_);
    running_ += more;
  }
  changed_.notify_all();
}

MULTIPROCESSING_INLINE void NetworkServer::refuse(Stream& stream) noexcept {
  try {
    // What it says is not read: the reply has room in the kernel's buffers.
    auto const reply = exception_reply();
    stream.send(channel::Kind::Value, kNetworkProtocol, reply, base::Deadline::now());
  } catch (std::exception const&) {  // it sees that the connection has ended
  }
}

MULTIPROCESSING_INLINE void NetworkServer::serve(Visit<Stream>& visit) noexcept {
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

MULTIPROCESSING_INLINE void NetworkServer::hang_up(Stream& stream) noexcept {
  try {
    stream.hang_up();
  } catch (std::exception const&) {  // it is closed
  }
}

MULTIPROCESSING_INLINE std::shared_ptr<Session> NetworkServer::greet(Visit<Stream>& visit) {
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

MULTIPROCESSING_INLINE bool NetworkServer::answer_next(Visit<Stream>& visit, Session& session) {
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

MULTIPROCESSING_INLINE std::optional<wire::Bytes> NetworkServer::receive_what_fits(Stream& stream) {
  try {
    return receive_network(stream);
  } catch (std::bad_alloc const&) {
    stream.skip(base::Deadline::never());
    return std::nullopt;
  }
}

MULTIPROCESSING_INLINE void NetworkServer::answer(Session& session, NetworkRequest const& request,
                                                  std::span<std::byte const> rest,
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

MULTIPROCESSING_INLINE Exposed NetworkServer::make(NetworkRequest const& request,
                                                   std::span<std::byte const> args) const {
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

MULTIPROCESSING_INLINE Exposed NetworkServer::get(NetworkRequest const& request) const {
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

MULTIPROCESSING_INLINE void NetworkServer::call(Exposed const& exposed,
                                                NetworkRequest const& request,
                                                std::span<std::byte const> args,
                                                wire::Bytes& reply) {
  auto const& method = exposed.type->method(request.name);
  if (method.signature != request.signature) {
    throw TypeError(exposed.type->name + "." + request.name + " is " + method.declaration +
                    ", and was called with other types, or by another compiler's program");
  }
  method.call(*exposed.object, args, reply);
}

MULTIPROCESSING_INLINE void NetworkServer::wait_until_closed(base::Deadline deadline) {
  std::unique_lock guard(changing_);
  changed_.wait_until(guard, deadline.time(), [this] { return acceptor_.closed(); });
}

MULTIPROCESSING_INLINE void NetworkServer::wait_until_over(base::Deadline deadline) {
  std::unique_lock guard(changing_);
  changed_.wait_until(guard, deadline.time(), [this] { return running_ == 0; });
}

}  // namespace multiprocessing::serve
