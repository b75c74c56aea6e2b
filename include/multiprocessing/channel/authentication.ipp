// SPDX-License-Identifier: BSL-1.0
// The bodies of authentication.hpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/channel/authentication.hpp>
#include <multiprocessing/channel/openssl.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/os/random.hpp>
#include <multiprocessing/os/socket.hpp>

namespace multiprocessing::channel {

MULTIPROCESSING_INLINE Cryptography const& require_cryptography() {
  auto const* const found = cryptography.load();
  if (found == nullptr) {
    throw std::invalid_argument(
        "an authkey needs OpenSSL: link with the CMake target multiprocessing::authentication");
  }
  return *found;
}

MULTIPROCESSING_INLINE void require_proof(bool local, AuthKey const& key) {
  if (key.is_there()) {
    require_cryptography();
  } else if (!local) {
    throw std::invalid_argument("TCP needs an authkey: everybody can connect");
  }
}

MULTIPROCESSING_INLINE void check_peer_user(int socket) {
  auto const user = os::peer_user(socket);
  if (user != os::this_user() && user != 0) {
    throw AuthenticationError("the other side is user " + std::to_string(user) +
                              "'s, and there is no authkey");
  }
}

MULTIPROCESSING_INLINE Handshake::Handshake(Role role, std::unique_ptr<SocketStream> stream,
                                            AuthKey key)
    : cryptography_(require_cryptography()),
      role_(role),
      stream_(std::move(stream)),
      key_(std::move(key)) {
  os::fill_with_random(mine_);
  send(Step::Challenge, mine_);
}

MULTIPROCESSING_INLINE bool Handshake::advance() {
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

MULTIPROCESSING_INLINE void Handshake::refuse(std::string const& reason) {
  try {
    send(Step::Refusal, {});
    stream_->hang_up();
  } catch (std::exception const&) {
    // it is gone, or does not listen
  }
  throw AuthenticationError("the other side " + reason);
}

MULTIPROCESSING_INLINE bool Handshake::take(Message const& message) {
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

MULTIPROCESSING_INLINE void Handshake::check_answer(Step step, std::span<std::byte const> bytes) {
  Digest digest;
  if (step != Step::Answer || bytes.size() != digest.size()) refuse("did not answer a challenge");
  std::memcpy(digest.data(), bytes.data(), digest.size());
  auto const expected = answer_of(role_ == Role::Client ? Role::Listener : Role::Client);
  if (!cryptography_.equal(digest, expected)) refuse("does not know the key");
}

MULTIPROCESSING_INLINE Digest Handshake::answer_of(Role role) const {
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

MULTIPROCESSING_INLINE void Handshake::send(Step step, std::span<std::byte const> bytes) {
  try {
    stream_->send(Kind::Handshake, static_cast<std::uint64_t>(step), bytes, base::Deadline::now());
  } catch (TimeoutError const&) {
    throw AuthenticationError("the other side does not receive");
  } catch (BrokenPipeError const&) {
    throw EOFError("the other side hung up before the proof");
  }
}

}  // namespace multiprocessing::channel
