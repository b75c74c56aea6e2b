// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/openssl.hpp>

#ifdef MULTIPROCESSING_WITH_OPENSSL

#include <string>

#include "../support/catch.hpp"
#include "../support/sockets.hpp"

namespace openssl_test {

namespace channel = multiprocessing::channel;

namespace {

std::string hmac(std::string_view key, std::string_view data) {
  channel::Digest digest;
  REQUIRE(channel::openssl::hmac_sha256(key, support::bytes_of(data), digest));
  std::string text;
  for (auto const byte : digest) {
    for (auto const digit : {byte >> 4, byte & std::byte{15}}) {
      text += "0123456789abcdef"[std::to_integer<unsigned>(digit)];
    }
  }
  return text;
}

}  // namespace

TEST_CASE("HMAC-SHA256 gives what RFC 4231 says", "[openssl]") {
  CHECK(hmac(std::string(20, '\x0b'), "Hi There") ==  // case 1
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(hmac("Jefe", "what do ya want for nothing?") ==  // case 2
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hmac(std::string(131, '\xaa'),  // case 6: a key that is longer than a block
             "Test Using Larger Than Block-Size Key - Hash Key First") ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("an empty key is one", "[openssl]") {
  CHECK(hmac("", "") == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
  CHECK(hmac(std::string_view(), "") == hmac("", ""));
}

TEST_CASE("digests are equal when all of their bytes are", "[openssl]") {
  channel::Digest one{};
  channel::Digest other{};
  CHECK(channel::openssl::equal(one, other));
  other.back() = std::byte{1};
  CHECK_FALSE(channel::openssl::equal(one, other));
}

TEST_CASE("a program that is built with OpenSSL has cryptography", "[openssl]") {
  CHECK(channel::cryptography.load() == &channel::openssl::kCryptography);
}

}  // namespace openssl_test

#endif
