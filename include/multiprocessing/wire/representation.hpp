// SPDX-License-Identifier: BSL-1.0
// The bytes of a Bitwise value, without what is not part of it.
//
// Padding holds whatever lay there before, so to copy it would tell secrets and make equal values
// unequal; and a bool whose byte is neither 0 nor 1 is undefined behaviour to look at. So both are
// asked of the compiler: padding is a byte whose value is not a constant after a T was made of
// constant bytes, and a bool is a byte that can be 1 but not 2.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <multiprocessing/wire/aggregate.hpp>
#include <multiprocessing/wire/bitwise.hpp>

namespace multiprocessing::wire {

namespace representation_detail {

using bitwise_detail::BytesOf;

/// Byte `i` of a T that is made of zeros, but for this byte.
template <class T>
constexpr unsigned char byte_after(std::size_t i, unsigned char byte) {
  BytesOf<T> bytes{};
  bytes[i] = byte;
  return std::bit_cast<BytesOf<T>>(std::bit_cast<T>(bytes))[i];
}

enum class Byte : unsigned char { Padding, Bool, Value };

template <class T>
constexpr Byte kind_of_byte(std::size_t i) {
  if (!__builtin_constant_p(byte_after<T>(i, 0))) return Byte::Padding;
  if (!__builtin_constant_p(byte_after<T>(i, 1)) || byte_after<T>(i, 1) != 1) return Byte::Value;
#if defined(__clang__)  // makes no constant of a bool that can not be
  return __builtin_constant_p(byte_after<T>(i, 2)) ? Byte::Value : Byte::Bool;
#else  // makes it 0 or 1
  if (!__builtin_constant_p(byte_after<T>(i, 2))) return Byte::Value;
  return byte_after<T>(i, 2) == 2 ? Byte::Value : Byte::Bool;
#endif
}

template <class T>
constexpr std::array<Byte, sizeof(T)> kinds_of_bytes() {
  std::array<Byte, sizeof(T)> kinds{};
  for (std::size_t i = 0; i < sizeof(T); ++i) kinds[i] = kind_of_byte<T>(i);
  return kinds;
}

template <class T>
inline constexpr auto kKinds = kinds_of_bytes<T>();

/// Whether a T made of bytes that are all `byte` is made of them again.
template <class T>
constexpr bool survives(unsigned char byte) {
  BytesOf<T> bytes{};
  bytes.fill(byte);
  for (auto const each : std::bit_cast<BytesOf<T>>(std::bit_cast<T>(bytes))) {
    if (each != byte) return false;
  }
  return true;
}
template <class T, bool answer = survives<T>(0) && survives<T>(2)>
consteval bool any_bytes_survive(int) {
  return answer;
}
template <class T>
consteval bool any_bytes_survive(long) {  // not a constant: padding
  return false;
}

template <class T>
consteval bool every_byte_counts() {
  // What a compiler evaluates byte by byte in no time, and within its limits.
  constexpr std::size_t kQuicklyEvaluated = 65536;
  if constexpr (sizeof(T) > kQuicklyEvaluated) {
    return std::has_unique_object_representations_v<T>;
  } else {
    return any_bytes_survive<T>(0);
  }
}

template <class T>
struct every_byte : std::bool_constant<every_byte_counts<T>()> {};
template <class T, std::size_t n>
struct every_byte<std::array<T, n>> : every_byte<T> {};

/// Asking for the kinds of a large type's bytes takes the compiler seconds.
inline constexpr std::size_t kLargestWithHoles = 1024;

template <class T>
struct is_known : std::bool_constant<every_byte<T>::value || sizeof(T) <= kLargestWithHoles> {};
template <class T, std::size_t n>
struct is_known<std::array<T, n>> : is_known<T> {};

#if defined(__clang__)
template <class T>
constexpr BytesOf<T> value_bits();

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wmissing-braces"  // elements of arrays are not counted apart

struct AllOnes {
  template <class U>
  operator U() const {
    BytesOf<U> bytes;
    if constexpr (std::is_same_v<U, bool>) {
      bytes.fill(1);
    } else if constexpr (std::is_class_v<U>) {
      bytes = value_bits<U>();
    } else {
      bytes.fill(0xff);
    }
    return std::bit_cast<U>(bytes);
  }
};

/// By making a T whose members have all bits set: for bit-fields, of which clang makes no
/// constants.
template <class T>
BytesOf<T> bits_of_members() {
  alignas(T) BytesOf<T> bits{};
  [&]<std::size_t... i>(std::index_sequence<i...>) {
    new (bits.data()) T{aggregate_detail::Repeat<AllOnes, i>{}...};
  }
  (std::make_index_sequence<aggregate_detail::kValues<T>>{});
  return bits;
}
#pragma clang diagnostic pop
#endif

template <class T>
constexpr BytesOf<T> bits_of_kinds(unsigned char of_padding) {
  BytesOf<T> bits{};
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    auto const kind = kKinds<T>[i];
    bits[i] = kind == Byte::Padding ? of_padding : kind == Byte::Bool ? 1 : 0xff;
  }
  return bits;
}

#if defined(__clang__)
template <class T>
inline constexpr bool kKindsAreKnown = bitwise_detail::made_of_bytes<T>(0);
template <class T>
inline constexpr bool kBitsAreKnown = kKindsAreKnown<T>;
#else
template <class T>
inline constexpr bool kKindsAreKnown = true;

// A byte in which some bits are a bit-field's counts as padding there. If it is all padding, what
// is in it makes no other template argument.
template <class T, unsigned char in_padding>
consteval T with_padding() {
  BytesOf<T> bytes{};
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    if (kKinds<T>[i] == Byte::Padding) bytes[i] = in_padding;
  }
  return std::bit_cast<T>(bytes);
}
template <class T, class Zeros = bitwise_detail::Argument<with_padding<T, 0>()>,
          class Ones = bitwise_detail::Argument<with_padding<T, 0xff>()>>
consteval bool padding_is_whole(int) {
  return std::is_same_v<Zeros, Ones>;
}
template <class T>
consteval bool padding_is_whole(long) {  // nor does a class with private members make one
  return false;
}
template <class T>
inline constexpr bool kBitsAreKnown = padding_is_whole<T>(0);
#endif

/// One where a bit belongs to a value.
template <class T>
constexpr BytesOf<T> value_bits() {
  if constexpr (kBitsAreKnown<T>) {
    return bits_of_kinds<T>(0);
  } else {
#if defined(__clang__)
    return bits_of_members<T>();
#else
    alignas(T) BytesOf<T> bits = bits_of_kinds<T>(0xff);
    __builtin_clear_padding(std::launder(reinterpret_cast<T*>(bits.data())));
    return bits;
#endif
  }
}

using Word = std::uint64_t __attribute__((vector_size(16)));  // what every processor has

#if defined(__x86_64__)
using WideWord = std::uint64_t __attribute__((vector_size(32)));  // what most of these have
inline bool has_wide_words() noexcept { return __builtin_cpu_supports("avx2") != 0; }
#endif

/// What is looked at at a time in `size` bytes.
template <std::size_t size>
using LargestIn = std::conditional_t<
    (size >= sizeof(Word)), Word,
    std::conditional_t<
        (size >= 8), std::uint64_t,
        std::conditional_t<(size >= 4), std::uint32_t,
                           std::conditional_t<(size >= 2), std::uint16_t, std::uint8_t>>>>;

template <class Unit>
Unit load(void const* from) {
  Unit unit;
  std::memcpy(&unit, from, sizeof unit);
  return unit;
}

/// The bits of `copies` Ts side by side that belong to no value.
template <class T, std::size_t copies>
class Holes {
 public:
  static constexpr std::size_t kSize = copies * sizeof(T);

  /// Writes `count` times kSize bytes, the holes as zeros.
  static void write(std::byte* to, std::byte const* from, std::size_t count) noexcept {
    decltype(auto) bits = pattern();
    auto const write_unit = [&](std::size_t at) {
      auto const unit = static_cast<Unit>(load<Unit>(from + at) & load<Unit>(bits.data() + at));
      std::memcpy(to + at, &unit, sizeof unit);
    };
    if constexpr (kFew) {
      // Many in a call, because a call costs, but so few that they stay in the nearest cache.
      constexpr std::size_t kPiece = std::max<std::size_t>(1, 4096 / kSize);
      while (count != 0) {
        auto const copied = std::min(count, kPiece);
        std::memcpy(to, from, copied * kSize);
        for (auto i = copied; i != 0; --i, from += kSize, to += kSize) {
          for (auto const place : kPlaces) write_unit(place);
        }
        count -= copied;
      }
    } else {
#if defined(__x86_64__)
      if constexpr (kHasWideWords) {
        if (count >= kWorthACall && has_wide_words()) return write_wide(to, from, count);
      }
#endif
      for (; count != 0; --count, from += kSize, to += kSize) {
        std::size_t at = 0;
        for (; at <= kSize - sizeof(Unit); at += sizeof(Unit)) write_unit(at);
        if constexpr (kSize % sizeof(Unit) != 0) write_unit(kSize - sizeof(Unit));
      }
    }
  }

  /// Whether there are only zeros in the holes of `count` times kSize bytes.
  static bool are_empty(std::byte const* bytes, std::size_t count) noexcept {
    if constexpr (kPlaces.empty()) {
      return true;
    } else {
#if defined(__x86_64__)
      if constexpr (kHasWideWords && kWideWords <= kRegisters) {
        if (count >= kWorthACall && has_wide_words()) {
          return are_empty_wide(bytes, count, std::make_index_sequence<kWideWords>{});
        }
      }
#endif
      decltype(auto) bits = pattern();
      Unit wrong{};
      for (std::size_t i = 0; i < kPlaces.size(); i += kLanes) {
        auto const* const places = kPlaces.data() + std::min(i, kPlaces.size() - kLanes);
        wrong |= found(bits.data(), bytes, count, places, std::make_index_sequence<kLanes>{});
      }
      Unit const none{};
      return std::memcmp(&wrong, &none, sizeof wrong) == 0;
    }
  }

 private:
  using Unit = LargestIn<kSize>;
  using Pattern = std::array<unsigned char, kSize>;

  /// Calls `each` for so many units that no hole is left out. Returns how many.
  static constexpr std::size_t cover(auto const& each) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < kSize; ++i) {
      if (kKindsAreKnown<T> && kKinds<T>[i % sizeof(T)] == Byte::Value) continue;
      auto const place = std::min(i, kSize - sizeof(Unit));
      each(count++, place);
      i = place + sizeof(Unit) - 1;
    }
    return count;
  }
  static constexpr auto kPlaces = [] {
    std::array<std::size_t, cover([](std::size_t, std::size_t) {})> places{};
    cover([&](std::size_t i, std::size_t place) { places[i] = place; });
    return places;
  }();
  /// So few that to copy all, and then these again, is faster.
  static constexpr bool kFew = kPlaces.size() * sizeof(Unit) * 4 <= kSize;

  static constexpr std::size_t kRegisters = 12;  // of 16 that every processor has
  static constexpr std::size_t kLanes = std::min(kPlaces.size(), kRegisters);

  static constexpr Pattern repeat(BytesOf<T> const& bits) {
    Pattern all{};
    for (std::size_t at = 0; at < kSize; at += sizeof(T)) {
      std::copy(bits.begin(), bits.end(), all.begin() + at);
    }
    return all;
  }
  /// A constant; or a value, of which nothing is kept: so there is no moment at which a fork could
  /// find it half made.
  static decltype(auto) pattern() {
    if constexpr (kBitsAreKnown<T>) {
      static constexpr Pattern kPattern = repeat(value_bits<T>());
      return (kPattern);
    } else {
      return repeat(value_bits<T>());
    }
  }

#if defined(__x86_64__)
  // write() and are_empty() as functions of their own, because other processors could not run them.
  // Twice as fast while all is in the nearest cache.
  static constexpr bool kHasWideWords = kSize >= sizeof(WideWord) && kBitsAreKnown<T>;
  static constexpr std::size_t kWideWords = (kSize + sizeof(WideWord) - 1) / sizeof(WideWord);
  static constexpr std::size_t kWorthACall = 384 / kSize;

  [[gnu::target("avx2")]] static void write_wide(std::byte* to, std::byte const* from,
                                                 std::size_t count) noexcept {
    auto const& bits = pattern();
    for (; count != 0; --count, from += kSize, to += kSize) {
      for (std::size_t i = 0; i < kSize; i += sizeof(WideWord)) {
        auto const at = std::min(i, kSize - sizeof(WideWord));
        WideWord word;
        WideWord mask;
        std::memcpy(&word, from + at, sizeof word);
        std::memcpy(&mask, bits.data() + at, sizeof mask);
        word &= mask;
        std::memcpy(to + at, &word, sizeof word);
      }
    }
  }
  template <std::size_t... word>
  [[gnu::target("avx2")]] static bool are_empty_wide(std::byte const* bytes, std::size_t count,
                                                     std::index_sequence<word...>) noexcept {
    constexpr std::size_t kAt[] = {std::min(word * sizeof(WideWord), kSize - sizeof(WideWord))...};
    WideWord seen[] = {(static_cast<void>(word), WideWord{})...};
    WideWord next[sizeof...(word)];
    for (; count != 0; --count, bytes += kSize) {
      (std::memcpy(&next[word], bytes + kAt[word], sizeof(WideWord)), ...);
      ((seen[word] |= next[word]), ...);
    }
    auto const& bits = pattern();
    (std::memcpy(&next[word], bits.data() + kAt[word], sizeof(WideWord)), ...);
    WideWord const wrong = ((seen[word] & ~next[word]) | ...);
    return (wrong[0] | wrong[1] | wrong[2] | wrong[3]) == 0;
  }
#endif

  /// What is found in holes. What lies at the same place is put together before it is compared, in
  /// a register for each place, so that none waits for another.
  template <std::size_t... lane>
  static Unit found(unsigned char const* bits, std::byte const* bytes, std::size_t count,
                    std::size_t const* places, std::index_sequence<lane...>) noexcept {
    Unit seen[] = {(static_cast<void>(lane), Unit{})...};
    for (; count != 0; --count, bytes += kSize) {
      ((seen[lane] |= load<Unit>(bytes + places[lane])), ...);
    }
    return static_cast<Unit>(((seen[lane] & ~load<Unit>(bits + places[lane])) | ...));
  }
};

/// As many Ts as give a processor enough to do at a time, and whole words if that takes few; fewer
/// where their bits take time as well.
template <class T>
consteval std::size_t together() {
  constexpr std::size_t kEnough = (kBitsAreKnown<T> ? 6 : 1) * sizeof(Word);
  constexpr std::size_t kTooMuch = 4 * kEnough;  // for each word is an instruction or two
  constexpr auto kLeast = (kEnough + sizeof(T) - 1) / sizeof(T);
  for (auto copies = kLeast; copies * sizeof(T) <= kTooMuch; ++copies) {
    if (copies * sizeof(T) % sizeof(Word) == 0) return copies;
  }
  return kLeast;
}

/// Without what is behind the last byte that belongs to a value.
template <class T>
constexpr std::size_t size_without_tail() {
  auto const bits = value_bits<T>();
  auto size = sizeof(T);
  while (size != 0 && bits[size - 1] == 0) --size;
  return size;
}

}  // namespace representation_detail

/// Any bytes are a T, and all of them are part of its value: no padding, no bool.
template <class T>
inline constexpr bool kEveryByteCounts =
    representation_detail::every_byte<std::remove_cv_t<T>>::value;

/// Bitwise, and it is known which of its bytes are padding.
template <class T>
concept Representable = Bitwise<T> && representation_detail::is_known<std::remove_cv_t<T>>::value;

/// Writes the bytes of `count` values, with zeros where they have padding.
template <Representable T>
void write_representations(std::byte* to, T const* values, std::size_t count) noexcept {
  auto const* from = reinterpret_cast<std::byte const*>(values);
  if constexpr (kEveryByteCounts<T>) {
    if (count != 0) std::memcpy(to, from, count * sizeof(T));
  } else {
    using namespace representation_detail;
    constexpr auto kMany = together<T>();
    using Many = Holes<T, kMany>;
    Many::write(to, from, count / kMany);
    if (count < kMany) {
      Holes<T, 1>::write(to, from, count);
    } else if (count % kMany != 0) {  // the last of them, some once more
      auto const last = (count - kMany) * sizeof(T);
      Many::write(to + last, from + last, 1);
    }
  }
}
template <Representable T, std::size_t n>
requires(!kEveryByteCounts<T>) void write_representations(std::byte* to,
                                                          std::array<T, n> const* values,
                                                          std::size_t count) noexcept {
  if constexpr (n != 0) {
    if (count != 0) write_representations(to, values->data(), count * n);
  }
}

/// Makes `value` what these sizeof(T) bytes are, and touches nothing that may lie in the padding at
/// its end, as members of a class derived from T do.
template <Representable T>
void read_representation(std::byte const* bytes, T& value) noexcept {
  auto* const to = reinterpret_cast<std::byte*>(std::addressof(value));
  if constexpr (kEveryByteCounts<T>) {
    std::memcpy(to, bytes, sizeof value);
  } else {
    using namespace representation_detail;
    if constexpr (kBitsAreKnown<T>) {
      constexpr auto kSize = size_without_tail<T>();
      std::memcpy(to, bytes, kSize);
    } else {
      std::memcpy(to, bytes, size_without_tail<T>());
    }
  }
}
template <Representable T, std::size_t n>
requires(!kEveryByteCounts<T>) void read_representation(std::byte const* bytes,
                                                        std::array<T, n>& values) noexcept {
  for (auto& value : values) {
    read_representation(bytes, value);
    bytes += sizeof(T);
  }
}

/// Whether write_representations() may have written these `count` * sizeof(T) bytes.
template <Representable T>
struct Representations {
  static bool are(std::byte const* bytes, std::size_t count) noexcept {
    if constexpr (kEveryByteCounts<T>) {
      return true;
    } else {
      using namespace representation_detail;
      constexpr auto kMany = together<T>();
      if (count < kMany) return Holes<T, 1>::are_empty(bytes, count);
      using Many = Holes<T, kMany>;
      return Many::are_empty(bytes, count / kMany) &&
             (count % kMany == 0 || Many::are_empty(bytes + (count - kMany) * sizeof(T), 1));
    }
  }
};
template <Representable T, std::size_t n>
requires(!kEveryByteCounts<T>) struct Representations<std::array<T, n>> {
  static bool are(std::byte const* bytes, std::size_t count) noexcept {
    return Representations<T>::are(bytes, count * n);
  }
};

template <Representable T>
bool are_representations(std::byte const* bytes, std::size_t count) noexcept {
  return Representations<T>::are(bytes, count);
}

}  // namespace multiprocessing::wire
