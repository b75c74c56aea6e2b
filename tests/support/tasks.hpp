// SPDX-License-Identifier: BSL-1.0
// Tasks and inputs that the pool's tests share.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <functional>
#include <iterator>
#include <numeric>
#include <ranges>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace support {

inline int square(int x) { return x * x; }
inline std::string greet(std::string const& name) { return "hello " + name; }

/// 0, 1, .. n - 1
inline std::vector<int> numbers(int n) {
  std::vector<int> result(static_cast<std::size_t>(n));
  std::iota(result.begin(), result.end(), 0);
  return result;
}

inline std::vector<int> squares(int n) {
  auto result = numbers(n);
  for (int& x : result) x = square(x);
  return result;
}

/// Ends the calling process by SIGKILL.
inline int kill_self(int x) {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
  return x;
}

/// An input range of the weakest kind: one pass, move-only iterator, size unknown, items made on
/// the fly. Throws `Error` before the item `throws_at`.
template <class Error = std::runtime_error>
class OnePass {
 public:
  explicit OnePass(int size, int throws_at = -1) : size_(size), throws_at_(throws_at) {}

  class Iterator {
   public:
    using value_type = int;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    explicit Iterator(OnePass* range) : range_(range) {}
    Iterator(Iterator&&) = default;
    Iterator& operator=(Iterator&&) = default;

    int operator*() const { return range_->next_; }
    Iterator& operator++() {
      if (++range_->next_ == range_->throws_at_) throw Error("the input ends badly");
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return range_->next_ == range_->size_; }

   private:
    OnePass* range_;
  };

  Iterator begin() { return Iterator(this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  int next_ = 0;
  int size_;
  int throws_at_;
};

/// make(0), make(1), .. make(n - 1), as they are read: a view. What std::views would do, which
/// clang 14 can not use with libstdc++.
template <class Make = std::identity>
class Made : public std::ranges::view_base {
 public:
  explicit Made(int n, Make make = {}) : n_(n), make_(make) {}

  class Iterator {
   public:
    using value_type = std::remove_cvref_t<std::invoke_result_t<Make&, int>>;
    using difference_type = std::ptrdiff_t;

    explicit Iterator(Made const* range) : range_(range) {}
    value_type operator*() const { return range_->make_(int{i_}); }
    Iterator& operator++() {
      ++i_;
      return *this;
    }
    void operator++(int) { ++i_; }
    bool operator==(std::default_sentinel_t) const { return i_ == range_->n_; }

   private:
    Made const* range_;
    int i_ = 0;
  };

  Iterator begin() const { return Iterator(this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  int n_;
  Make make_;
};
inline constexpr int kNoEnd = -1;

}  // namespace support
