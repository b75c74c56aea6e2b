// SPDX-License-Identifier: BSL-1.0
// Cryptography for tests where OpenSSL may be missing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <multiprocessing/channel/authentication.hpp>

namespace support {

namespace channel = multiprocessing::channel;

/// As long as it lives, another cryptography is used, or none.
class WithCryptography {
 public:
  explicit WithCryptography(channel::Cryptography const* other)
      : before_(channel::cryptography.exchange(other)) {}
  WithCryptography(WithCryptography const&) = delete;
  WithCryptography& operator=(WithCryptography const&) = delete;
  ~WithCryptography() { channel::cryptography.store(before_); }

 private:
  channel::Cryptography const* before_;
};

/// Tells keys and data apart, and no more: FNV-1a.
inline bool weak_hmac(std::string_view key, std::span<std::byte const> data,
                      channel::Digest& digest) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  auto const mix = [&hash](std::uint64_t byte) { hash = (hash ^ byte) * 0x100000001b3U; };
  for (auto& out : digest) {
    for (char const c : key) mix(static_cast<unsigned char>(c));
    mix(key.size());
    for (auto const byte : data) mix(std::to_integer<std::uint64_t>(byte));
    out = static_cast<std::byte>(hash >> 56);
  }
  return true;
}
inline bool weak_equal(channel::Digest const& one, channel::Digest const& other) {
  return one == other;
}
inline constexpr channel::Cryptography kWeakCryptography{&weak_hmac, &weak_equal};

/// The real one, where there is one.
inline channel::Cryptography const* any_cryptography() {
  auto const* const found = channel::cryptography.load();
  return found != nullptr ? found : &kWeakCryptography;
}

}  // namespace support
