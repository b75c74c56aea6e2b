// SPDX-License-Identifier: BSL-1.0
// What a program and the server of another one say to each other.
//
//   client                                       server
//   Begin                         ------------>  a session, which has nothing yet
//                                 <------------  its key
//   Join: key, on each further connection -----> the same session
//   Make: class | arguments       ------------>
//   Get: name                     ------------>
//                                 <------------  number of an object, in this session
//   Call: object, method | arguments  -------->
//                                 <------------  value, or exception
//   Release: object               ------------>  no answer
//
//   Failure   the last connection of a session ends, any way: what it had is dropped. The server
//             ends, or its machine: who waits for it reads the end of file.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/serve/exposed_type.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/exception.hpp>

namespace multiprocessing::serve {

/// Tells a session; nobody can guess it.
using SessionKey = std::array<std::uint64_t, 2>;

struct NetworkRequest {
  enum class Verb : std::uint8_t { Begin, Join, Make, Get, Call, Release };

  Verb verb{};
  SessionKey session{};      ///< to Join
  std::uint64_t object = 0;  ///< to Call, to Release
  std::string name;          ///< of the class, the object, or the method
  std::string type;          ///< of the object to Get
  Signature signature{};
};

enum class NetworkReply : std::uint8_t { Value, Exception };

/// The type of all these messages; its last digits are the version of what they say.
inline constexpr std::uint64_t kNetworkProtocol = 0x6d702d6d6772'0001;

inline void send_network(channel::SocketStream& stream, std::span<std::byte const> bytes) {
  stream.send(channel::Kind::Value, kNetworkProtocol, bytes);
}

/// Blocks: until a message is there. Throws: EOFError; TimeoutError when the deadline passes;
/// UnpicklingError when it is of another kind.
inline wire::Bytes receive_network(channel::SocketStream& stream,
                                   base::Deadline deadline = base::Deadline::never()) {
  auto message = stream.receive(deadline);
  if (!message) throw TimeoutError("the other side did not answer in time");
  if (message->kind != channel::Kind::Value || message->type != kNetworkProtocol) {
    throw UnpicklingError("the other side is no manager of this version");
  }
  return std::move(message->bytes);
}

inline wire::Bytes value_reply() { return {static_cast<std::byte>(NetworkReply::Value)}; }

/// REQUIRES: called while an exception is handled. Throws: std::bad_alloc.
inline wire::Bytes exception_reply() {
  wire::Bytes reply{static_cast<std::byte>(NetworkReply::Exception)};
  auto record = wire::record_current_exception();
  wire::add_origin(record, {launch::identity().name, os::this_pid(), {}});
  wire::encode(reply, record);
  return reply;
}

/// The value that is in it, encoded. Throws: the exception that is; UnpicklingError.
inline std::span<std::byte const> value_of(std::span<std::byte const> reply) {
  if (reply.empty()) throw UnpicklingError("the reply is empty");
  auto const kind = static_cast<NetworkReply>(reply[0]);
  reply = reply.subspan(1);
  if (kind == NetworkReply::Exception) {
    wire::throw_recorded(take_foreign<wire::ExceptionRecord>(reply));
  }
  return reply;
}

}  // namespace multiprocessing::serve
