// SPDX-License-Identifier: BSL-1.0
// Values to bytes and back: cereal's conventions over plain memory, without its streams.
//
// A value is written as, in this order of preference: what its own cereal functions write; its
// bytes, when it is Bitwise; its length and elements, when it is a string or a vector, in one piece
// where the elements are Bitwise.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <cereal/cereal.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/wire/bitwise.hpp>

// Asks cereal whether the user taught it a type. In a namespace of its own, so that the archives'
// own rules, which depend on the answer, are not part of the question.
namespace multiprocessing::wire_probe {
class Output : public cereal::OutputArchive<Output> {
 public:
  Output();
};
}  // namespace multiprocessing::wire_probe

namespace multiprocessing::wire {

using Bytes = std::vector<std::byte>;

template <class T>
concept UserSerializable =
    std::is_class_v<T> && cereal::traits::is_output_serializable<T, wire_probe::Output>::value;

/// Written as its own bytes.
template <class T>
concept PlainBytes = Bitwise<T> && !UserSerializable<T>;

namespace archive_detail {
template <class T>
struct is_encodable : std::bool_constant<PlainBytes<T> || UserSerializable<T>> {};
template <class T, class Allocator>
struct is_encodable<std::vector<T, Allocator>> : is_encodable<T> {};
template <class Char, class Traits, class Allocator>
struct is_encodable<std::basic_string<Char, Traits, Allocator>> : std::true_type {};
}  // namespace archive_detail

/// Can be sent to another process.
template <class T>
concept Encodable = archive_detail::is_encodable<std::remove_cvref_t<T>>::value;

// The archives' own namespace: cereal finds their functions by the archive's type, and only by
// that, so a type of any other namespace is asked about its own functions alone.
namespace archive {

/// Appends to `sink`.
class Encoder : public cereal::OutputArchive<Encoder, cereal::AllowEmptyClassElision> {
 public:
  explicit Encoder(Bytes& sink) : OutputArchive(this), sink_(&sink) {}

  void write(void const* data, std::size_t size) {
    if (size == 0) return;  // the data() of something empty may be null
    auto const end = sink_->size();
    sink_->resize(end + size);
    std::memcpy(sink_->data() + end, data, size);
  }

 private:
  Bytes* sink_;
};

/// Takes from the front of `source`. Throws: Error when it asks for more than there is.
class Decoder : public cereal::InputArchive<Decoder, cereal::AllowEmptyClassElision> {
 public:
  explicit Decoder(std::span<std::byte const> source) : InputArchive(this), rest_(source) {}

  void read(void* data, std::size_t size) {
    auto const* const source = take(size);
    if (size != 0) std::memcpy(data, source, size);  // as above
  }

  /// `size` bytes, in place.
  std::byte const* take(std::size_t size) {
    if (size > rest_.size()) {
      throw Error("decoding asks for " + std::to_string(size) + " bytes where " +
                  std::to_string(rest_.size()) + " are left");
    }
    auto const* const data = rest_.data();
    rest_ = rest_.subspan(size);
    return data;
  }

  std::size_t remaining() const noexcept { return rest_.size(); }

 private:
  std::span<std::byte const> rest_;
};

// The customisation points that cereal finds by argument-dependent lookup.

template <PlainBytes T>
void CEREAL_SAVE_FUNCTION_NAME(Encoder& encoder, T const& value) {
  encoder.write(&value, sizeof value);
}
template <PlainBytes T>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, T& value) {
  decoder.read(&value, sizeof value);
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(Encoder& encoder, cereal::BinaryData<T> const& data) {
  encoder.write(data.data, static_cast<std::size_t>(data.size));
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, cereal::BinaryData<T>& data) {
  decoder.read(data.data, static_cast<std::size_t>(data.size));
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(Encoder& encoder, cereal::SizeTag<T> const& tag) {
  encoder.write(&tag.size, sizeof tag.size);
}
/// A length may not exceed the bytes that are left, so that a damaged one can not ask for all
/// memory. (So elements must take a byte at least: a serialize that writes nothing won't do.)
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, cereal::SizeTag<T>& tag) {
  decoder.read(&tag.size, sizeof tag.size);
  if (tag.size > decoder.remaining()) {
    throw Error("decoding meets a length of " + std::to_string(tag.size) + " where " +
                std::to_string(decoder.remaining()) + " bytes are left");
  }
}

template <class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(Encoder& encoder, cereal::NameValuePair<T>& pair) {
  encoder(pair.value);
}
template <class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(Decoder& decoder, cereal::NameValuePair<T>& pair) {
  decoder(pair.value);
}

// cereal itself copies vectors of arithmetic types in one piece.
template <class T>
concept ClassInOnePiece = PlainBytes<T> && !std::is_arithmetic_v<T>;

template <ClassInOnePiece T, class Allocator>
void CEREAL_SAVE_FUNCTION_NAME(Encoder& encoder, std::vector<T, Allocator> const& values) {
  encoder(cereal::make_size_tag(static_cast<cereal::size_type>(values.size())));
  encoder.write(values.data(), values.size() * sizeof(T));
}
template <ClassInOnePiece T, class Allocator>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, std::vector<T, Allocator>& values) {
  cereal::size_type size = 0;
  decoder(cereal::make_size_tag(size));
  values.resize(static_cast<std::size_t>(size));
  decoder.read(values.data(), values.size() * sizeof(T));
}

}  // namespace archive

using archive::Decoder;
using archive::Encoder;

template <Encodable T>
void encode(Encoder& encoder, T const& value) {
  encoder(value);
}

/// Throws: Error when the bytes end too early; what the type's own `load` throws.
template <Encodable T>
T decode(Decoder& decoder) {
  if constexpr (PlainBytes<T>) {  // needs no default constructor
    alignas(T) std::byte storage[sizeof(T)];
    decoder.read(storage, sizeof(T));
    return *std::launder(reinterpret_cast<T*>(storage));
  } else {
    static_assert(std::is_default_constructible_v<T>,
                  "multiprocessing: a type with serialize functions also needs a default "
                  "constructor, so that the receiving process can make one to fill");
    T value{};
    decoder(value);
    return value;
  }
}

}  // namespace multiprocessing::wire

CEREAL_SETUP_ARCHIVE_TRAITS(multiprocessing::wire::archive::Decoder,
                            multiprocessing::wire::archive::Encoder)
