// SPDX-License-Identifier: BSL-1.0
// Iteration over what a next() gives, once, until it gives nothing.
#pragma once

#include <cstddef>
#include <iterator>
#include <optional>

namespace multiprocessing::base {

/// `Source::next()` returns a std::optional<Value>. REQUIRES: the source outlives it.
template <class Source, class Value>
class NextIterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using value_type = Value;
  using difference_type = std::ptrdiff_t;

  NextIterator() = default;
  /// Takes the first.
  explicit NextIterator(Source& source) : source_(&source), value_(source.next()) {}
  NextIterator(NextIterator&&) = default;
  NextIterator& operator=(NextIterator&&) = default;

  Value& operator*() const noexcept { return *value_; }
  NextIterator& operator++() {
    value_ = source_->next();
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(NextIterator const& i, std::default_sentinel_t) noexcept {
    return !i.value_.has_value();
  }

 private:
  Source* source_ = nullptr;
  mutable std::optional<Value> value_;
};

}  // namespace multiprocessing::base
