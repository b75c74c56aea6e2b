// SPDX-License-Identifier: BSL-1.0
// Values that are written and read without cereal, to the last of their parts: no function of the
// user, no object that may be met again, nothing to be remembered from one part to the next. As
// cereal would have it, but without an archive, which takes longer to make and to destroy than a
// small struct to write; and the compiler sees all of it.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <utility>

#include <multiprocessing/wire/aggregate.hpp>
#include <multiprocessing/wire/decoder.hpp>
#include <multiprocessing/wire/elements.hpp>
#include <multiprocessing/wire/encoder.hpp>
#include <multiprocessing/wire/picklable.hpp>
#include <multiprocessing/wire/standard_types.hpp>

namespace multiprocessing::wire {

/// One piece of bytes, behind its length if that is not known.
template <class T>
concept OnePiece = PlainMessage<T> || archive::PlainRange<T>;

namespace alone_detail {

/// Read by making an empty one and putting in one element after the other.
template <class T>
concept Filled =
    picklable_detail::Parts<T>::kKnown && !std::same_as<typename T::value_type, bool> &&
    requires(T & values, typename T::value_type element) {
  values.size();
  values.insert(values.end(), std::move(element));
};

template <class... Types, class... Above>
consteval bool all_need_no_archive(TypeList<Types...>, TypeList<Above...>);

template <class T, class... Above>
consteval bool needs_no_archive() {
  if constexpr ((std::same_as<T, Above> || ...) || OnePiece<T>) {
    return true;
  } else if constexpr (Filled<T> || picklable_detail::kIsMadeOfParts<T>) {
    return all_need_no_archive(typename picklable_detail::Parts<T>::Types{},
                               TypeList<T, Above...>{});
  } else if constexpr (PlainAggregate<T> && !StandardType<T>) {
    return all_need_no_archive(FieldTypes<T>{}, TypeList<T, Above...>{});
  } else {
    return false;
  }
}
template <class... Types, class... Above>
consteval bool all_need_no_archive(TypeList<Types...>, TypeList<Above...>) {
  return (needs_no_archive<std::remove_cv_t<Types>, Above...>() && ...);
}

}  // namespace alone_detail

template <class T>
concept NeedsNoArchive = alone_detail::needs_no_archive<T>();

namespace alone_detail {

/// Plain fields beside each other are written and read at once: a run.
template <class Fields>
struct Runs;
template <class... Fields>
struct Runs<TypeList<Fields...>> {
  static constexpr std::array<std::size_t, sizeof...(Fields) + 1> kSizes = {
      (PlainMessage<Fields> ? sizeof(Fields) : 0)..., 0};

  static constexpr bool is_in_one(std::size_t i) { return kSizes[i] != 0; }
  static constexpr bool begins_one(std::size_t i) { return is_in_one(i) && place(i) == 0; }
  /// Of the field in its run.
  static constexpr std::size_t place(std::size_t i) {
    std::size_t bytes = 0;
    while (i != 0 && is_in_one(i - 1)) bytes += kSizes[--i];
    return bytes;
  }
  /// Of the run that begins with the field.
  static constexpr std::size_t size(std::size_t i) {
    std::size_t bytes = 0;
    while (is_in_one(i)) bytes += kSizes[i++];
    return bytes;
  }
};

}  // namespace alone_detail

namespace archive {

template <NeedsNoArchive T>
void write_alone(Writer& writer, T const& value);

template <class T>
void write_fields(Writer& writer, T const& value) {
  using Runs = alone_detail::Runs<FieldTypes<T>>;
  std::byte* run = nullptr;
  for_each_numbered_field(value, [&]<class Field>(Field const& field, auto i) {
    if constexpr (Runs::is_in_one(i)) {
      if constexpr (Runs::begins_one(i)) run = writer.claim(Runs::size(i));
      if (run != nullptr) write_representations(run + Runs::place(i), std::addressof(field), 1);
    } else {
      write_alone(writer, field);
    }
  });
}
template <class T>
void fill_fields(Reader& reader, T& value) {
  using Runs = alone_detail::Runs<FieldTypes<T>>;
  std::byte const* run = nullptr;
  for_each_numbered_field(value, [&]<class Field>(Field& field, auto i) {
    if constexpr (Runs::is_in_one(i)) {
      if constexpr (Runs::begins_one(i)) run = reader.take(Runs::size(i));
      check_representations<Field>(run + Runs::place(i), 1);
      read_representation(run + Runs::place(i), field);
    } else {
      fill_alone(reader, field);
    }
  });
}

template <class T>
void write_filled(Writer& writer, T const& values) {
  auto const length = static_cast<std::uint64_t>(values.size());
  writer.write(&length, sizeof length);
  for (auto const& each : values) {
    if constexpr (requires { typename T::mapped_type; }) {
      write_alone(writer, each.first);
      write_alone(writer, each.second);
    } else {
      write_alone(writer, each);
    }
  }
}

/// Throws: std::bad_alloc, PicklingError when it is nested too deeply.
template <NeedsNoArchive T>
void write_alone(Writer& writer, T const& value) {
  if constexpr (PlainMessage<T>) {
    write_plain(writer, value);
  } else if constexpr (PlainRange<T>) {
    write_range(writer, value);
  } else if constexpr (alone_detail::Filled<T>) {
    write_filled(writer, value);
  } else if constexpr (picklable_detail::kIsMadeOfParts<T>) {
    std::apply([&](auto const&... part) { (write_alone(writer, part), ...); }, value);
  } else {
    writer.descend(sizeof(T));
    write_fields(writer, value);
    writer.ascend(sizeof(T));
  }
}

template <class T>
void fill_alone(Reader& reader, T& value) {
  if constexpr (PlainMessage<T>) {
    fill_plain(reader, value);
  } else if constexpr (PlainRange<T>) {
    read_range(reader, value);
  } else if constexpr (alone_detail::Filled<T>) {
    if constexpr (requires { typename T::mapped_type; }) {
      read_map(reader, value);
    } else if constexpr (requires { typename T::key_type; }) {
      read_set(reader, value);
    } else {
      read_sequence(reader, value);
    }
  } else if constexpr (picklable_detail::kIsMadeOfParts<T>) {
    std::apply([&](auto&... part) { (fill_alone(reader, part), ...); }, value);
  } else {
    reader.descend(sizeof(T));
    fill_fields(reader, value);
    reader.ascend(sizeof(T));
  }
}
template <class T>
T read_alone(Reader& reader) {
  if constexpr (PlainMessage<T>) {
    return read_plain_value<T>(reader);
  } else if constexpr (PlainRange<T>) {
    return read_range_value<T>(reader);
  } else {
    T value{};
    fill_alone(reader, value);
    return value;
  }
}

}  // namespace archive

}  // namespace multiprocessing::wire
