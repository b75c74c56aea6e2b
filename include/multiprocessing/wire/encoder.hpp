// SPDX-License-Identifier: BSL-1.0
// What a message is written to: plain memory, without cereal's streams.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/os/copy.hpp>
#include <multiprocessing/wire/cereal_types.hpp>

namespace multiprocessing::wire {

using Bytes = std::vector<std::byte>;

class Parcel;

// The archives' own namespace: cereal finds their functions by the archive's type, and only by
// that, so a type of any other namespace is asked about its own functions alone.
namespace archive {

/// How many structs and classes may lie in each other. Deeper ones would overflow the stack, if not
/// here then in the process that reads them. Python's interpreter has the same limit.
inline constexpr std::uint32_t kDeepest = 1000;

/// ... and how large they may be together: readers keep some of them on the stack.
inline constexpr std::size_t kMostNested = std::size_t{1} << 20;

class Depth {
 public:
  /// False when it is too deep.
  bool descend(std::size_t size) noexcept {
    if (++levels_ > 1) bytes_ += size;  // the first is where its owner has it
    return levels_ <= kDeepest && bytes_ <= kMostNested;
  }
  void ascend(std::size_t size) noexcept {
    if (levels_-- > 1) bytes_ -= size;
  }

 private:
  std::uint32_t levels_ = 0;
  std::size_t bytes_ = 0;
};

/// In the place of an object's number: the object follows.
inline constexpr std::uint32_t kNewObject = 0x8000'0000;

/// Writes one message. Threads: one.
class Writer {
 public:
  /// Appends to `sink`, which is nobody else's until finish().
  explicit Writer(Bytes& sink) : sink_(&sink), start_(sink.size()) { aim(start_); }

  /// Writes to `room`, without allocating. What does not fit is counted only: see size().
  explicit Writer(std::span<std::byte> room) noexcept
      : begin_(room.data()), next_(room.data()), end_(room.data() + room.size()) {}

  Writer(Writer const&) = delete;
  Writer& operator=(Writer const&) = delete;

  /// Leaves the sink with what was written. To be called last, unless something has thrown.
  void finish() noexcept {
    if (sink_ != nullptr) sink_->resize(written());  // shrinks, so it does not throw
  }

  /// Of the message so far. More than the room when it did not fit.
  std::size_t size() const noexcept { return written() + lost_ - start_; }

  /// Throws: std::bad_alloc.
  [[gnu::always_inline]] void write(void const* data, std::size_t size) {
    if (size > room()) [[unlikely]] {
      return write_beyond(data, size);
    }
    copy(next_, data, size);
    next_ += size;
  }

  /// `size` bytes to be written by the caller; null when they don't fit. Throws: std::bad_alloc.
  std::byte* claim(std::size_t size) {
    if (size > room()) {
      if (sink_ == nullptr) {
        lose(size);
        return nullptr;
      }
      grow(size);
    }
    return std::exchange(next_, next_ + size);
  }

  /// To be called before the members of a class of `size` bytes, and ascend() behind them, unless
  /// something has thrown. Throws: PicklingError.
  void descend(std::size_t size) {
    if (!depth_.descend(size)) throw_too_deep();
  }
  void ascend(std::size_t size) noexcept { depth_.ascend(size); }

  /// Zeros up to a multiple of `alignment`, counted from the beginning of the message.
  void align(std::size_t alignment) {
    constexpr std::byte kZero{};
    while ((size() & (alignment - 1)) != 0) write(&kZero, 1);
  }

 private:
  /// memcpy, without the call where a few bytes are to be copied, as most often.
  [[gnu::always_inline]] static void copy(std::byte* to, void const* data, std::size_t size) {
    auto const* const from = static_cast<std::byte const*>(data);
    if (__builtin_constant_p(size)) {
      std::memcpy(to, from, size);
    } else if (size > 16) {
      os::copy_for_others(to, from, size);
    } else if (size >= 8) {
      copy_ends<std::uint64_t>(to, from, size);
    } else if (size >= 4) {
      copy_ends<std::uint32_t>(to, from, size);
    } else {  // also nothing: then data may be null
      for (std::size_t i = 0; i < size; ++i) to[i] = from[i];
    }
  }
  /// As two words that may overlap.
  template <class Word>
  static void copy_ends(std::byte* to, std::byte const* from, std::size_t size) {
    Word first;
    Word last;
    std::memcpy(&first, from, sizeof first);
    std::memcpy(&last, from + size - sizeof last, sizeof last);
    std::memcpy(to, &first, sizeof first);
    std::memcpy(to + size - sizeof last, &last, sizeof last);
  }

  std::size_t written() const noexcept { return static_cast<std::size_t>(next_ - begin_); }
  std::size_t room() const noexcept { return static_cast<std::size_t>(end_ - next_); }

  void aim(std::size_t used) noexcept {
    begin_ = sink_->data();
    next_ = begin_ + used;
    end_ = begin_ + sink_->size();
  }

  static constexpr std::size_t kLarge = 4096;  // zeros that are overwritten at once begin to cost

  void grow(std::size_t size) {
    auto const used = written();
    sink_->resize(used + size + (used < kLarge ? used + 128 : kLarge));
    aim(used);
  }

  void lose(std::size_t size) noexcept {
    lost_ += size;
    end_ = next_;  // what follows is lost as well
  }

  [[gnu::noinline]] void write_beyond(void const* data, std::size_t size) {
    if (sink_ == nullptr) {
      lose(size);
    } else if (size >= kLarge) {
      auto const used = written();
      auto const* const first = static_cast<std::byte const*>(data);
      sink_->resize(used);
      sink_->insert(sink_->end(), first, first + size);
      aim(used + size);
    } else {
      grow(size);
      write(data, size);
    }
  }

  [[noreturn, gnu::noinline]] static void throw_too_deep() {
    throw PicklingError("encoding: the value is nested too deeply");
  }

  Bytes* sink_ = nullptr;
  std::size_t start_ = 0;  // of the message, in the sink
  std::byte* begin_ = nullptr;
  std::byte* next_ = nullptr;
  std::byte* end_ = nullptr;
  std::size_t lost_ = 0;
  Depth depth_;
};

/// ... as cereal's functions want it. Objects that the message refers to more than once are known
/// within it only.
class Encoder : public Writer,
                public cereal::OutputArchive<Encoder, cereal::AllowEmptyClassElision> {
 public:
  /// `parcel`: gets what goes along with the bytes. Null: nothing can.
  explicit Encoder(Bytes& sink, Parcel* parcel = nullptr)
      : Writer(sink), OutputArchive(this), parcel_(parcel) {}
  explicit Encoder(std::span<std::byte> room, Parcel* parcel = nullptr)
      : Writer(room), OutputArchive(this), parcel_(parcel) {}

  /// To put `what` into; for the error with its article: "a Lock". Throws: PicklingError.
  Parcel& parcel(char const* what) {
    if (parcel_ == nullptr) throw_without_parcel(what);
    return *parcel_;
  }

  /// The number of the object in the message, with kNewObject when it was not met before. By its
  /// type as well: an object and its first member have the same address.
  std::uint32_t number_of(std::shared_ptr<void const> const& object, std::type_index type) {
    auto const number = static_cast<std::uint32_t>(objects_.size()) + 1;
    auto const [place, is_new] = numbers_.try_emplace({object.get(), type}, number);
    if (!is_new) return place->second;
    objects_.push_back(object);  // kept, so that no other gets its address
    return number | kNewObject;
  }

 private:
  [[noreturn, gnu::noinline]] static void throw_without_parcel(char const* what) {
    throw PicklingError(what + std::string(" can only be sent through a Queue or a Pipe, or passed "
                                           "to a Process"));
  }

  Parcel* parcel_;
  std::map<std::pair<void const*, std::type_index>, std::uint32_t> numbers_;
  std::vector<std::shared_ptr<void const>> objects_;
};

}  // namespace archive

using archive::Encoder;
using archive::Writer;

}  // namespace multiprocessing::wire
