// SPDX-License-Identifier: BSL-1.0
// What arrives of values that are sent.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>

#include <multiprocessing/pickle.hpp>

namespace support {

/// As it arrives. Throws when anything is left behind it.
template <class T>
T pickled(T const& value) {
  return multiprocessing::loads<T>(multiprocessing::dumps(value));
}

template <class T>
bool returns(T const& value) {
  return pickled(value) == value;
}

/// The bytes behind the type's number.
inline std::span<std::byte const> body_of(multiprocessing::Bytes const& bytes) {
  return std::span(bytes).subspan(8);
}

inline bool holds_byte(std::span<std::byte const> bytes, unsigned char byte) {
  return std::find(bytes.begin(), bytes.end(), std::byte{byte}) != bytes.end();
}

/// Writes messages by hand.
class Message {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> Message& add(T const& value) {
    return add(std::as_bytes(std::span(&value, 1)));
  }
  [[gnu::noinline]] Message& add(std::span<std::byte const> bytes) {
    auto const size = bytes_.size();
    bytes_.resize(size + bytes.size());
    std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(size));
    return *this;
  }
  multiprocessing::Bytes const& bytes() const { return bytes_; }

 private:
  multiprocessing::Bytes bytes_;
};

/// Begins as every message that holds a T.
template <class T>
Message message_with() {
  Message message;
  message.add(multiprocessing::wire::kTypeHash<T>);
  return message;
}

}  // namespace support
