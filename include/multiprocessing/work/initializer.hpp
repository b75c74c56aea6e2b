// SPDX-License-Identifier: BSL-1.0
// What a worker calls before its first task, and what is known when that fails.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <multiprocessing/launch/target.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/parcel.hpp>

namespace multiprocessing::work {

/// A callable without arguments, or none.
class Initializer {
 public:
  Initializer() = default;
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, Initializer> &&
           std::is_invocable_v<std::decay_t<F>>) Initializer(F&& f)
      : target_(std::make_shared<launch::CallTarget<std::decay_t<F>>>(std::in_place,
                                                                      std::forward<F>(f))) {}

  explicit operator bool() const noexcept { return target_ != nullptr; }

  /// Once in a process. Throws: what it does.
  void operator()() const { target_->run(); }

  /// Throws: TypeError when it can not be sent, or holds shared objects.
  void save(wire::Bytes& bytes) const {
    wire::Parcel parcel;
    target_->save(bytes, parcel);
    if (!parcel.empty()) {
      throw TypeError(
          "Pool: an initializer that is sent to another run of the program can not take shared "
          "objects along; start method fork takes everything");
    }
  }
  static Initializer read(std::span<std::byte const> bytes) {
    Initializer initializer;
    initializer.target_ = launch::read_target(bytes, wire::Parcel());
    return initializer;
  }

 private:
  std::shared_ptr<launch::Target> target_;
};

/// A text that the first who has one writes, and others read after that. Lives in a segment.
class Failure {
 public:
  void tell(std::string_view text) noexcept {
    if (is_taken_.exchange(true)) return;
    auto const size = std::min(text.size(), text_.size() - 1);
    std::memcpy(text_.data(), text.data(), size);
    is_told_ = true;
  }
  bool is_told() const noexcept { return is_told_.load(); }
  std::string text() const { return is_told() ? text_.data() : ""; }

 private:
  std::atomic<bool> is_taken_{false};
  std::atomic<bool> is_told_{false};
  std::array<char, 1000> text_{};
};

}  // namespace multiprocessing::work
