// SPDX-License-Identifier: BSL-1.0
// Values to bytes and back.
//
// A value is written as, in this order of preference: what its own cereal functions write; its
// bytes, when it is plain; what cereal knows of the standard library's types, contiguous ranges of
// plain elements in one piece; a struct's members, one after the other.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/wire/aggregate.hpp>
#include <multiprocessing/wire/alone.hpp>
#include <multiprocessing/wire/cereal_types.hpp>
#include <multiprocessing/wire/code_pointer.hpp>  // IWYU pragma: keep
#include <multiprocessing/wire/decoder.hpp>
#include <multiprocessing/wire/elements.hpp>
#include <multiprocessing/wire/encoder.hpp>
#include <multiprocessing/wire/picklable.hpp>
#include <multiprocessing/wire/polymorphic.hpp>  // before types are registered
#include <multiprocessing/wire/standard_types.hpp>

namespace multiprocessing::wire {

namespace archive {

// What follows are the customisation points that cereal finds by argument-dependent lookup.

// Depth. cereal calls these around every value; values contain themselves through classes only.
template <class T>
inline constexpr bool kIsWrapper = false;
template <class Key, class Value>
inline constexpr bool kIsWrapper<cereal::MapItem<Key, Value>> = true;
template <class Pointer>
inline constexpr bool kIsWrapper<cereal::memory_detail::PtrWrapper<Pointer>> = true;
template <class T>
inline constexpr bool kIsConstruction = false;  // in place of the object that is not there yet
template <class T>
inline constexpr bool
    kIsConstruction<cereal::memory_detail::LoadAndConstructLoadWrapper<Decoder, T>> = true;
template <class T>
concept Level = kIsConstruction<T> ||
    ((PlainAggregate<T> || UserSerializable<T>)&&!StandardType<T> && !kIsWrapper<T>);

template <class T>
void prologue(Encoder& encoder, T const&) {
  if constexpr (Level<T>) encoder.descend(sizeof(T));
}
template <class T>
void epilogue(Encoder& encoder, T const&) {
  if constexpr (Level<T>) encoder.ascend(sizeof(T));
}
template <class T>
void prologue(Decoder& decoder, T const&) {
  if constexpr (Level<T>) decoder.descend(sizeof(T));
}
template <class T>
void epilogue(Decoder& decoder, T const&) {
  if constexpr (Level<T>) decoder.ascend(sizeof(T));
}

// cereal's own wrappers.
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
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, cereal::SizeTag<T>& tag) {
  decoder.read(&tag.size, sizeof tag.size);
  decoder.check_length(tag.size);
}
template <class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(Encoder& encoder, cereal::NameValuePair<T>& pair) {
  encoder(pair.value);
}
template <class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(Decoder& decoder, cereal::NameValuePair<T>& pair) {
  decoder(pair.value);
}

// What makes itself, in the place of what was made before.
template <DecodesItself T>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, T& value) {
  value = T::decode_from(decoder);
}

// Structs.
template <PlainAggregate T>
void CEREAL_SAVE_FUNCTION_NAME(Encoder& encoder, T const& value) {
  for_each_field(value, [&]<class Field>(Field const& field) {
    if constexpr (NeedsNoArchive<Field>) {
      write_alone(encoder, field);
    } else {
      encoder(field);
    }
  });
}
template <PlainAggregate T>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, T& value) {
  for_each_field(value, [&]<class Field>(Field& field) {
    if constexpr (NeedsNoArchive<Field>) {
      fill_alone(decoder, field);
    } else {
      decoder(field);
    }
  });
}

// Shared objects, each written once. cereal would take a number for an object of any type.
template <class T>
void CEREAL_SAVE_FUNCTION_NAME(
    Encoder& encoder, cereal::memory_detail::PtrWrapper<std::shared_ptr<T> const&> const& wrapper) {
  auto const& pointer = wrapper.ptr;
  if (pointer == nullptr) {
    encoder(std::uint32_t{0});
    return;
  }
  auto const number = encoder.number_of(pointer, typeid(T));
  encoder(number);
  if ((number & kNewObject) == 0) return;
  if constexpr (LoadedByConstruction<std::remove_const_t<T>>) {
    encoder(std::uint8_t{1});  // as a std::unique_ptr that is not null: so it is read
  }
  encoder(*pointer);
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder,
                               cereal::memory_detail::PtrWrapper<std::shared_ptr<T>&>& wrapper) {
  using Object = std::remove_const_t<T>;
  std::uint32_t number = 0;
  decoder(number);
  if (number == 0) {
    wrapper.ptr = nullptr;
  } else if ((number & kNewObject) == 0) {
    wrapper.ptr = std::static_pointer_cast<T>(decoder.find(number, typeid(T)));
  } else {
    auto const place = decoder.expect(number, typeid(T));
    if constexpr (LoadedByConstruction<Object>) {
      // Its own constructor reads it, so nothing inside it can point back to it.
      std::unique_ptr<Object> made;
      decoder(cereal::memory_detail::make_ptr_wrapper(made));
      if (made == nullptr) throw UnpicklingError("decoding meets a new object that is null");
      wrapper.ptr = std::shared_ptr<Object>(std::move(made));
      decoder.keep(place, std::const_pointer_cast<Object>(wrapper.ptr));
    } else {
      auto made = std::shared_ptr<Object>(cereal::access::construct<Object>());
      decoder.keep(place, made);
      decoder(*made);
      wrapper.ptr = std::move(made);
    }
  }
}

}  // namespace archive

namespace archive_detail {

template <class T, class... Types>
T make_of_parts(Decoder& decoder, TypeList<Types...>) {
  return T{decode_next<std::remove_cv_t<Types>>(decoder)...};  // the braces keep the order
}
template <MadeWhole T>
T make_whole(Decoder& decoder) {
  if constexpr (StandardType<T>) {
    return make_of_parts<T>(decoder, typename picklable_detail::Parts<T>::Types{});
  } else {
    decoder.descend(sizeof(T));
    T value = make_of_parts<T>(decoder, FieldTypes<T>{});
    decoder.ascend(sizeof(T));
    return value;
  }
}

}  // namespace archive_detail

/// Reads a value behind those that were read before. Throws: UnpicklingError, what the type's own
/// functions throw.
template <Picklable T>
T decode_next(Decoder& decoder) {
  if constexpr (NeedsNoArchive<T>) {
    return archive::read_alone<T>(decoder);
  } else if constexpr (CodePointer<T>) {
    T pointer = nullptr;
    decoder(pointer);
    return pointer;
  } else if constexpr (DecodesItself<T>) {
    return T::decode_from(decoder);
  } else if constexpr (MadeWhole<T>) {
    return archive_detail::make_whole<T>(decoder);
  } else {
    T value{};
    decoder(value);
    return value;
  }
}

namespace archive_detail {

/// cereal's exceptions become `E`s with the first line of their text; the others give advice about
/// archives that the user does not see.
template <class E, class F>
decltype(auto) translate(F const& f) {
  try {
    return f();
  } catch (cereal::Exception const& error) {
    std::string const text = error.what();
    throw E(text.substr(0, text.find('\n')));
  }
}

template <class... Types, class... Above>
consteval bool all_use_no_memory(TypeList<Types...>, TypeList<Above...>);

/// Whether T has no use for what an archive remembers: objects, registered classes, versions.
template <class T, class... Above>
consteval bool uses_no_memory() {
  if constexpr ((std::same_as<T, Above> || ...) || PlainBytes<T>) {
    return true;
  } else if constexpr (picklable_detail::Parts<T>::kKnown) {
    return all_use_no_memory(typename picklable_detail::Parts<T>::Types{}, TypeList<T, Above...>{});
  } else if constexpr (PlainAggregate<T>) {
    return all_use_no_memory(FieldTypes<T>{}, TypeList<T, Above...>{});
  } else {
    return false;
  }
}
template <class... Types, class... Above>
consteval bool all_use_no_memory(TypeList<Types...>, TypeList<Above...>) {
  return (uses_no_memory<std::remove_cv_t<Types>, Above...>() && ...);
}

/// An archive for one message with a T. To destroy the dozen empty containers in it costs as much
/// as to write a small message.
template <class Archive, class T>
class ArchiveFor {
 public:
  template <class... Args>
  explicit ArchiveFor(Args&&... args) : archive_(std::forward<Args>(args)...) {}
  ArchiveFor(ArchiveFor const&) = delete;
  ArchiveFor& operator=(ArchiveFor const&) = delete;
  ~ArchiveFor() {
    if constexpr (!uses_no_memory<T>()) archive_.~Archive();
  }
  Archive& operator*() noexcept { return archive_; }

 private:
  union {
    Archive archive_;
  };
};

}  // namespace archive_detail

namespace archive_detail {

/// Nothing has to be done to its bytes.
template <class T>
inline constexpr bool kIsItsOwnBytes = false;
template <PlainMessage T>
inline constexpr bool kIsItsOwnBytes<T> = kEveryByteCounts<T>;

template <class T>
void append(Bytes& sink, T const& value, Parcel* parcel) {
  auto const before = sink.size();
  try {
    if constexpr (kIsItsOwnBytes<T>) {
      // Faster than by a Writer, which makes room for more, and zeros it.
      auto const* const first = reinterpret_cast<std::byte const*>(std::addressof(value));
      sink.insert(sink.end(), first, first + sizeof value);
    } else if constexpr (NeedsNoArchive<T>) {
      Writer writer(sink);
      archive::write_alone(writer, value);
      writer.finish();
    } else {
      translate<PicklingError>([&] {
        ArchiveFor<Encoder, T> encoder(sink, parcel);
        (*encoder)(value);
        (*encoder).serializeDeferments();
        (*encoder).finish();
      });
    }
  } catch (...) {
    sink.resize(before);
    throw;
  }
}

/// By itself: in take() compilers do not make the value where the caller has it.
template <class T>
T take_alone(std::span<std::byte const>& bytes) {
  Reader reader(bytes);
  T value = archive::read_alone<T>(reader);
  bytes = bytes.last(reader.remaining());
  return value;
}

template <class T>
T take(std::span<std::byte const>& bytes, os::ModuleTable const* modules, Parcel const* parcel) {
  if constexpr (NeedsNoArchive<T>) {
    return take_alone<T>(bytes);
  } else {
    return translate<UnpicklingError>([&]() -> T {
      ArchiveFor<Decoder, T> decoder(bytes, modules, parcel);
      T value = decode_next<T>(*decoder);
      (*decoder).serializeDeferments();
      bytes = bytes.last((*decoder).remaining());
      return value;
    });
  }
}

}  // namespace archive_detail

/// Appends a message; nothing when it throws.
/// Throws: std::bad_alloc, PicklingError, also when it holds a shared object; what the type's own
/// functions throw.
template <Picklable T>
void encode(Bytes& sink, T const& value) {
  archive_detail::append(sink, value, nullptr);
}

/// The same, of a message that can take shared objects along: they are added to `parcel`, also when
/// it throws.
template <Picklable T>
void encode(Bytes& sink, T const& value, Parcel& parcel) {
  archive_detail::append(sink, value, &parcel);
}

/// Writes a message to `room`, if it fits; otherwise what is there is of no use. Returns the size
/// that it has: with an empty room this only measures. Allocates nothing, unless the value holds
/// std::shared_ptr, registered classes or versioned ones: these cereal keeps account of.
/// Throws: PicklingError, what the type's own functions throw.
template <Picklable T>
std::size_t encode_into(std::span<std::byte> room, T const& value) {
  if constexpr (NeedsNoArchive<T>) {
    Writer writer(room);
    archive::write_alone(writer, value);
    return writer.size();
  } else {
    return archive_detail::translate<PicklingError>([&] {
      archive_detail::ArchiveFor<Encoder, T> encoder(room);
      (*encoder)(value);
      (*encoder).serializeDeferments();
      return (*encoder).size();
    });
  }
}

/// Takes a message from the front of `bytes`, which stay as they are when it throws. Functions are
/// looked for in `modules`; null: in those that are loaded now.
/// Throws: std::bad_alloc, UnpicklingError, what the type's own functions throw.
template <Picklable T>
T decode(std::span<std::byte const>& bytes, os::ModuleTable const* modules = nullptr) {
  return archive_detail::take<T>(bytes, modules, nullptr);
}

/// The same, of a message that came with `parcel`.
template <Picklable T>
T decode(std::span<std::byte const>& bytes, Parcel const& parcel,
         os::ModuleTable const* modules = nullptr) {
  return archive_detail::take<T>(bytes, modules, &parcel);
}

}  // namespace multiprocessing::wire

CEREAL_REGISTER_ARCHIVE(multiprocessing::wire::archive::Encoder)
CEREAL_REGISTER_ARCHIVE(multiprocessing::wire::archive::Decoder)
CEREAL_SETUP_ARCHIVE_TRAITS(multiprocessing::wire::archive::Decoder,
                            multiprocessing::wire::archive::Encoder)
