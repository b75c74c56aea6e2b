// SPDX-License-Identifier: BSL-1.0
// What a message is read from: plain memory that may hold anything. Nothing that it
// says is believed: lengths, numbers of objects, bools and depth are checked before they are used.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <typeindex>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/wire/cereal_types.hpp>
#include <multiprocessing/wire/encoder.hpp>

namespace multiprocessing::wire {

namespace archive {

/// Reads one message. Throws: UnpicklingError, from every function, when the bytes are not what a
/// Writer wrote. Threads: one.
class Reader {
 public:
  explicit Reader(std::span<std::byte const> message) noexcept
      : begin_(message.data()),
        next_(message.data()),
        end_(message.data() + message.size()),
        spare_(message.size()) {}

  void read(void* data, std::size_t size) {
    auto const* const source = take(size);
    if (size != 0) std::memcpy(data, source, size);  // the data() of something empty may be null
  }

  /// `size` bytes, in place.
  std::byte const* take(std::size_t size) {
    if (size > remaining()) [[unlikely]]
      throw_short(size);
    auto const* const data = next_;
    next_ += size;
    return data;
  }

  /// `count` Ts, in place, behind what Writer::align() has written.
  template <class T>
  std::byte const* take_aligned(std::uint64_t count) {
    if constexpr (alignof(T) > 1) skip_padding(alignof(T));
    if (count > remaining() / sizeof(T)) throw_length(count);
    return take(static_cast<std::size_t>(count) * sizeof(T));
  }

  /// Before the members of a class of `size` bytes, and behind them.
  void descend(std::size_t size) {
    if (!depth_.descend(size)) throw_too_deep();
  }
  void ascend(std::size_t size) noexcept { depth_.ascend(size); }

  std::size_t remaining() const noexcept { return static_cast<std::size_t>(end_ - next_); }

  /// A length may not exceed the bytes that are left, so that a damaged one can not ask for all
  /// memory. Some elements take no bytes: so a few are always allowed.
  void check_length(std::uint64_t length) const {
    if (length > remaining() && length > kMostEmpty) throw_length(length);
  }

  /// ... that is read from here.
  std::uint64_t read_length() {
    std::uint64_t length = 0;
    read(&length, sizeof length);
    check_length(length);
    return length;
  }

  /// To be called behind each element, with what remained before it.
  void count_element(std::size_t remained) {
    if (remained == remaining() && ++empty_elements_ > kMostEmpty) throw_empty();
  }

  /// For how many of `length` elements to reserve memory before they are read. In all, a message
  /// gets no more in advance than its own size: a length in a length in a length would multiply.
  std::size_t reservable(std::uint64_t length, std::size_t element_size) noexcept {
    auto const count = std::min<std::uint64_t>(length, spare_ / element_size);
    spare_ -= static_cast<std::size_t>(count) * element_size;
    return static_cast<std::size_t>(count);
  }

 private:
  void skip_padding(std::size_t alignment) {
    auto const past = static_cast<std::size_t>(next_ - begin_) & (alignment - 1);
    if (past == 0) return;
    auto const* const padding = take(alignment - past);
    if (std::any_of(padding, next_, [](std::byte each) { return each != std::byte{}; })) {
      throw UnpicklingError("decoding: bytes that are always zero are not");
    }
  }

  [[noreturn, gnu::noinline]] void throw_short(std::size_t size) const {
    throw UnpicklingError("decoding asks for " + std::to_string(size) + " bytes where " +
                          std::to_string(remaining()) + " are left");
  }
  [[noreturn, gnu::noinline]] void throw_length(std::uint64_t length) const {
    throw UnpicklingError("decoding meets a length of " + std::to_string(length) + " where " +
                          std::to_string(remaining()) + " bytes are left");
  }

  [[noreturn, gnu::noinline]] static void throw_empty() {
    throw UnpicklingError("decoding meets too many elements without bytes");
  }
  [[noreturn, gnu::noinline]] static void throw_too_deep() {
    throw UnpicklingError("decoding: the value is nested too deeply");
  }

  static constexpr std::uint64_t kMostEmpty = 1024;  // in a message; nobody sends more for a reason

  std::byte const* begin_;
  std::byte const* next_;
  std::byte const* end_;
  std::size_t spare_;
  std::uint64_t empty_elements_ = 0;
  Depth depth_;
};

/// ... as cereal's functions want it.
class Decoder : public Reader,
                public cereal::InputArchive<Decoder, cereal::AllowEmptyClassElision> {
 public:
  /// `modules`: where functions are looked for. Null: among those loaded when the first is met.
  /// `parcel`: what has come with the bytes. Null: nothing.
  explicit Decoder(std::span<std::byte const> message, os::ModuleTable const* modules = nullptr,
                   Parcel const* parcel = nullptr)
      : Reader(message), InputArchive(this), modules_(modules), parcel_(parcel) {}

  Parcel const& parcel() const {
    if (parcel_ == nullptr) throw_without_parcel();
    return *parcel_;
  }

  /// Announces the object of this number, as Encoder::number_of() gave it. Its place.
  std::size_t expect(std::uint32_t number, std::type_index type) {
    if ((number & ~kNewObject) != objects_.size() + 1) throw_object();
    objects_.push_back({type, nullptr});
    return objects_.size() - 1;
  }
  void keep(std::size_t place, std::shared_ptr<void> object) {
    objects_[place].object = std::move(object);
  }
  /// Never null.
  std::shared_ptr<void> const& find(std::uint32_t number, std::type_index type) const {
    if (number == 0 || number > objects_.size()) throw_object();
    auto const& known = objects_[number - 1];
    if (known.type != type || known.object == nullptr) throw_object();
    return known.object;
  }

  os::ModuleTable const& modules() {
    if (modules_ == nullptr) {
      own_modules_ = std::make_unique<os::ModuleTable const>(os::ModuleTable::now());
      modules_ = own_modules_.get();
    }
    return *modules_;
  }

 private:
  struct Object {
    std::type_index type;  // of the pointer
    std::shared_ptr<void> object;
  };

  [[noreturn, gnu::noinline]] static void throw_object() {
    throw UnpicklingError("decoding meets a pointer to no object of the message");
  }

  [[noreturn, gnu::noinline]] static void throw_without_parcel() {
    throw UnpicklingError("decoding meets a shared object, which bytes alone can not bring");
  }

  std::vector<Object> objects_;
  os::ModuleTable const* modules_;
  Parcel const* parcel_;
  std::unique_ptr<os::ModuleTable const> own_modules_;
};

}  // namespace archive

using archive::Decoder;
using archive::Reader;

}  // namespace multiprocessing::wire
