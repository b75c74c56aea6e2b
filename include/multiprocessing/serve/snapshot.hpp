// SPDX-License-Identifier: BSL-1.0
// Iteration over a container in a server: over a copy that is made when it begins.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>

namespace multiprocessing::serve {

template <class Container>
class SnapshotIterator {
 public:
  using value_type = typename Container::value_type;
  using difference_type = std::ptrdiff_t;

  SnapshotIterator() = default;
  explicit SnapshotIterator(Container copy)
      : copy_(std::make_shared<Container const>(std::move(copy))), place_(copy_->begin()) {}

  value_type const& operator*() const { return *place_; }
  value_type const* operator->() const { return &*place_; }
  SnapshotIterator& operator++() {
    ++place_;
    return *this;
  }
  void operator++(int) { ++place_; }
  friend bool operator==(SnapshotIterator const& iterator, std::default_sentinel_t) {
    return iterator.copy_ == nullptr || iterator.place_ == iterator.copy_->end();
  }

 private:
  std::shared_ptr<Container const> copy_;
  typename Container::const_iterator place_{};
};

}  // namespace multiprocessing::serve
