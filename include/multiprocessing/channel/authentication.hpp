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
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/os/random.hpp>

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
inline Cryptography const& require_cryptography() {
  auto const* const found = cryptography.load();
  if (found == nullptr) {
    throw std::invalid_argument(
        "an authkey needs OpenSSL: link with the CMake target multiprocessing::authentication");
  }
  return *found;
}

/// What proves a connection: the key, or that a local one is the user's own, or root's.
/// Throws: std::invalid_argument when it is neither, or a key and no cryptography.
inline void require_proof(bool local, AuthKey const& key) {
  if (key.is_there()) {
    require_cryptography();
  } else if (!local) {
    throw std::invalid_argument("TCP needs an authkey: everybody can connect");
  }
}

/// Throws: AuthenticationError when the other end of a local connection is another user's.
inline void check_peer_user(int socket) {
  auto const user = os::peer_user(socket);
  if (user != os::this_user() && user != 0) {
    throw AuthenticationError("the other side is user " + std::to_string(user) +
                              "'s, and there is no authkey");
  }
}

/// One side of the proof. Threads: one at a time.
class Handshake {
 public:
  enum class Role { Client, Listener };

  /// What is longer is no part of a proof, and refused before it is read.
  static constexpr std::size_t kMostBytes = 256;

  /// Sends the challenge. Does not block.
  /// Throws: std::invalid_argument as above; EOFError when the other side has hung up;
  /// std::system_error.
  Handshake(Role role, std::unique_ptr<SocketStream> stream, AuthKey key)
      : cryptography_(require_cryptography()),
        role_(role),
        stream_(std::move(stream)),
        key_(std::move(key)) {
    os::fill_with_random(mine_);
    send(Step::Challenge, mine_);
  }

  SocketStream& stream() const noexcept { return *stream_; }
  /// REQUIRES: advance() has returned true, and nothing is called any more.
  std::unique_ptr<SocketStream> take_stream() noexcept { return std::move(stream_); }

  /// Does what can be done without waiting. Whether both sides have proved it.
  /// Throws: AuthenticationError when the other side does not know the key, or says something else;
  /// then the connection is of no use any more. EOFError when it hangs up. std::system_error.
  bool advance() {
    try {
      while (auto const message = stream_->receive_any(base::Deadline::now(), kMostBytes)) {
        if (take(*message)) return true;
      }
      return false;
    } catch (BufferTooShort const&) {
      refuse("sent more than a proof needs");
    } catch (UnpicklingError const&) {
      refuse("sent something that is no message");
    }
  }

  /// Tells the other side that it has failed, and hangs up.
  [[noreturn]] void refuse(std::string const& reason) {
    try {
      send(Step::Refusal, {});
      stream_->hang_up();
    } catch (std::exception const&) {
      // it is gone, or does not listen
    }
    throw AuthenticationError("the other side " + reason);
  }

 private:
  using Challenge = std::array<std::byte, 32>;

  // Types of the messages. The first is the version of all this.
  enum class Step : std::uint64_t { Challenge = 0x6d702d617574'01, Answer, Refusal };

  bool take(Message const& message) {
    auto const step = static_cast<Step>(message.type);
    if (message.kind != Kind::Handshake) refuse("sent a message before any proof");
    if (step == Step::Refusal) {
      throw AuthenticationError("the other side does not accept the proof: the keys differ");
    }
    if (!theirs_) {
      Challenge challenge;
      if (step != Step::Challenge || message.bytes.size() != challenge.size()) {
        refuse("did not begin with a challenge");
      }
      std::memcpy(challenge.data(), message.bytes.data(), challenge.size());
      theirs_ = challenge;
      if (role_ == Role::Client) send(Step::Answer, answer_of(Role::Client));
      return false;
    }
    check_answer(step, message.bytes);
    if (role_ == Role::Listener) send(Step::Answer, answer_of(Role::Listener));
    return true;
  }

  void check_answer(Step step, std::span<std::byte const> bytes) {
    Digest digest;
    if (step != Step::Answer || bytes.size() != digest.size()) refuse("did not answer a challenge");
    std::memcpy(digest.data(), bytes.data(), digest.size());
    auto const expected = answer_of(role_ == Role::Client ? Role::Listener : Role::Client);
    if (!cryptography_.equal(digest, expected)) refuse("does not know the key");
  }

  Digest answer_of(Role role) const {
    auto const& client = role_ == Role::Client ? mine_ : *theirs_;
    auto const& listener = role_ == Role::Client ? *theirs_ : mine_;
    std::string_view const tag = role == Role::Client ? "client  " : "listener";  // of one length
    std::array<std::byte, 8 + 2 * std::tuple_size_v<Challenge>> data;
    std::memcpy(data.data(), tag.data(), 8);
    std::memcpy(data.data() + 8, client.data(), client.size());
    std::memcpy(data.data() + 8 + client.size(), listener.data(), listener.size());
    Digest digest;
    if (!cryptography_.hmac_sha256(key_.bytes(), data, digest)) throw Error("HMAC-SHA256 failed");
    return digest;
  }

  /// There is room for what little one side says; and if not, the other does not play by the rules.
  void send(Step step, std::span<std::byte const> bytes) {
    try {
      stream_->send(Kind::Handshake, static_cast<std::uint64_t>(step), bytes,
                    base::Deadline::now());
    } catch (TimeoutError const&) {
      throw AuthenticationError("the other side does not receive");
    } catch (BrokenPipeError const&) {
      throw EOFError("the other side hung up before the proof");
    }
  }

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
