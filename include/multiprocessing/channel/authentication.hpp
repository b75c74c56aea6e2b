// SPDX-License-Identifier: BSL-1.0
// How both sides of a connection prove that they know a key, without telling it.
//
//   client                                       listener
//   Challenge: 32 random bytes  ------------->
//                               <-------------   Challenge: 32 random bytes
//   Answer: HMAC(key, "client" | ..)  ------->   wrong: Refusal, hangs up
//   wrong: hangs up             <-------------   Answer: HMAC(key, "listener" | ..)
//
// Each answer covers both challenges and who gives it: one that is sent back, or was seen before,
// is wrong. The client answers first, so that a stranger who connects learns nothing that depends
// on the key. What is said afterwards is neither encrypted nor signed.
#pragma once

#include <array>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/socket_stream.hpp>

namespace multiprocessing {

/// A secret of any bytes, also of none; or no secret.
class AuthKey {
 public:
  /// No secret.
  AuthKey() = default;
  template <class Text>
  requires(std::convertible_to<Text const&, std::string_view> && !std::same_as<Text, AuthKey>)
      AuthKey(Text const& text)
      : bytes_(std::string_view(text)), is_there_(true) {}
  /// Any bytes; none are a key, too.
  AuthKey(std::span<std::byte const> bytes)
      : bytes_(reinterpret_cast<char const*>(bytes.data()), bytes.size()), is_there_(true) {}

  /// Whether one was given.
  bool is_there() const noexcept { return is_there_; }
  std::string const& bytes() const noexcept { return bytes_; }

 private:
  std::string bytes_;
  bool is_there_ = false;
};

}  // namespace multiprocessing

namespace multiprocessing::channel {

/// An HMAC-SHA256.
using Digest = std::array<std::byte, 32>;

/// What a library for cryptography is asked for. The functions throw nothing.
struct Cryptography {
  /// False: the library could not.
  bool (*hmac_sha256)(std::string_view key, std::span<std::byte const> data, Digest& digest);
  /// In a time that does not depend on what differs.
  bool (*equal)(Digest const&, Digest const&);
};

/// Null unless some part of the program is built with one: it is no part of this library. Set
/// before main by openssl.hpp.
inline std::atomic<Cryptography const*> cryptography{nullptr};

/// Throws: std::invalid_argument when there is none.
Cryptography const& require_cryptography();

/// What proves a connection: the key, or that a local one is the user's own, or root's.
/// Throws: std::invalid_argument when it is neither, or a key and no cryptography.
void require_proof(bool local, AuthKey const& key);

/// Throws: AuthenticationError when the other end of a local connection is another user's.
void check_peer_user(int socket);

/// One side of the proof. Threads: one at a time.
class Handshake {
 public:
  enum class Role { Client, Listener };

  /// What is longer is no part of a proof, and refused before it is read.
  static constexpr std::size_t kMostBytes = 256;

  /// Sends the challenge. Does not block.
  /// Throws: std::invalid_argument as above; EOFError when the other side has hung up;
  /// std::system_error.
  Handshake(Role role, std::unique_ptr<SocketStream> stream, AuthKey key);

  SocketStream& stream() const noexcept { return *stream_; }
  /// REQUIRES: advance() has returned true, and nothing is called any more.
  std::unique_ptr<SocketStream> take_stream() noexcept { return std::move(stream_); }

  /// Does what can be done without waiting. Whether both sides have proved it.
  /// Throws: AuthenticationError when the other side does not know the key, or says something else;
  /// then the connection is of no use any more. EOFError when it hangs up. std::system_error.
  bool advance();

  /// Tells the other side that it has failed, and hangs up.
  [[noreturn]] void refuse(std::string const& reason);

 private:
  using Challenge = std::array<std::byte, 32>;

  // Types of the messages. The first is the version of all this.
  enum class Step : std::uint64_t { Challenge = 0x6d702d617574'01, Answer, Refusal };

  bool take(Message const& message);

  void check_answer(Step step, std::span<std::byte const> bytes);

  Digest answer_of(Role role) const;

  /// There is room for what little one side says; and if not, the other does not play by the rules.
  void send(Step step, std::span<std::byte const> bytes);

  Cryptography const& cryptography_;
  Role const role_;
  std::unique_ptr<SocketStream> stream_;
  AuthKey key_;
  Challenge mine_;
  std::optional<Challenge> theirs_;
};

}  // namespace multiprocessing::channel

// Where there is one, whoever uses a key has it.
#include <multiprocessing/channel/openssl.hpp>  // IWYU pragma: keep

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/channel/authentication.ipp>
#endif
