// SPDX-License-Identifier: BSL-1.0
// The cryptography of authkeys, by OpenSSL's libcrypto. Empty but where the CMake target
// multiprocessing::authentication is linked; one part of a program is enough.
#pragma once

#ifdef MULTIPROCESSING_WITH_OPENSSL

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstddef>
#include <limits>
#include <span>
#include <string_view>

#include <multiprocessing/channel/authentication.hpp>

namespace multiprocessing::channel::openssl {

inline bool hmac_sha256(std::string_view key, std::span<std::byte const> data, Digest& digest) {
  if (key.size() > std::numeric_limits<int>::max()) return false;
  unsigned length = 0;
  auto const* const made =
      ::HMAC(::EVP_sha256(), key.data() != nullptr ? key.data() : "", static_cast<int>(key.size()),
             reinterpret_cast<unsigned char const*>(data.data()), data.size(),
             reinterpret_cast<unsigned char*>(digest.data()), &length);
  return made != nullptr && length == digest.size();
}

inline bool equal(Digest const& one, Digest const& other) {
  return ::CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

inline constexpr Cryptography kCryptography{&hmac_sha256, &equal};

/// All that is done before main: a store.
inline bool const registered = (cryptography.store(&kCryptography), true);

}  // namespace multiprocessing::channel::openssl

#endif
