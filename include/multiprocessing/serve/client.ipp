// SPDX-License-Identifier: BSL-1.0
// The bodies of client.hpp.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <span>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/channel/message.hpp>
#include <multiprocessing/channel/pipe_end.hpp>
#include <multiprocessing/channel/queue_end.hpp>
#include <multiprocessing/serve/client.hpp>
#include <multiprocessing/serve/request.hpp>
#include <multiprocessing/serve/server.hpp>

namespace multiprocessing::serve {

MULTIPROCESSING_INLINE void Client::note_gone(ServerAddress const& address,
                                              std::uint64_t object) noexcept {
  if (auto* const server = local(address)) return server->objects().forget(object);
  auto* const client = find(address);
  if (client == nullptr) return;  // it looks by itself now and then
  try {
    channel::Outgoing message(kPlain, std::as_bytes(std::span(&object, 1)));
    channel::send_message(*client->end_, {"Manager", "release"}, message, base::Deadline::now());
  } catch (std::exception const&) {  // it finds out when this thread's pipe ends
  }
}

MULTIPROCESSING_INLINE Server* Client::local(ServerAddress const& address) noexcept {
  auto* const server = Server::of_this_process();
  return server != nullptr && server->id() == address.id() ? server : nullptr;
}

MULTIPROCESSING_INLINE bool& Client::is_gone() noexcept {
  static thread_local constinit bool gone = false;
  return gone;
}

MULTIPROCESSING_INLINE Client::OfThread* Client::of_this_thread() {
  if (is_gone()) return nullptr;
  static thread_local OfThread clients;
  return &clients;
}

MULTIPROCESSING_INLINE Client* Client::find(ServerAddress const& address) noexcept {
  auto* const own = of_this_thread();
  if (own == nullptr) return nullptr;
  for (auto const& client : own->clients) {
    if (client->address_.id() == address.id() && client->is_usable()) return client.get();
  }
  return nullptr;
}

MULTIPROCESSING_INLINE std::shared_ptr<channel::PipeEnd> Client::connect(
    channel::Call call, ServerAddress const& address) {
  auto [mine, its] = channel::make_pipe({});
  try {
    channel::QueueEnd reception(address.reception);
    channel::send_value(reception, call, Visitor{its}, false, base::Deadline::never());
    its->give_up();
    channel::Received hello;
    take(call, address, *mine, hello);
    read_reply<void>(hello.bytes(), hello.parcel());  // throws when it can not serve
  } catch (ShutDown const&) {
    throw_ended(call);
  } catch (EOFError const&) {
    throw_ended(call);
  }
  return mine;
}

MULTIPROCESSING_INLINE void Client::take(channel::Call call, ServerAddress const& address,
                                         channel::PipeEnd& end, channel::Received& message) {
  auto const keep = [&](channel::Incoming const& incoming) { return message.take(incoming); };
  while (end.receive(call, keep, base::Deadline::after(kBetweenLooks)) ==
         channel::Passed::TimedOut) {
    if (address.state->has_ended()) throw EOFError(call.text());
  }
}

MULTIPROCESSING_INLINE void Client::exchange(channel::Call call, Message request,
                                             channel::Received& reply) {
  try {
    channel::Outgoing message(kPlain, request.bytes, request.parcel);
    channel::send_message(*end_, call, message, base::Deadline::never());
    take(call, address_, *end_, reply);
  } catch (BrokenPipeError const&) {
    end_->give_up();
    throw_ended(call);
  } catch (EOFError const&) {
    end_->give_up();
    throw_ended(call);
  } catch (...) {  // an answer that comes later would be taken for the next one's
    end_->give_up();
    throw;
  }
}

MULTIPROCESSING_INLINE void Client::throw_ended(channel::Call call) {
  throw BrokenPipeError(call.text() + ": the manager's process has ended");
}

}  // namespace multiprocessing::serve
