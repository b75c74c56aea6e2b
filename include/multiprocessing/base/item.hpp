// SPDX-License-Identifier: BSL-1.0
// What operator[] of a container elsewhere returns, where there is nothing to refer to.
#pragma once

#include <utility>

namespace multiprocessing::base {

/// Reads by at(key) of `Container`, writes by its set(key, value). As long as that is there.
template <class Container, class Key, class Value>
class Item {
 public:
  Item(Container const& container, Key key) : container_(&container), key_(std::move(key)) {}
  Item(Item const&) = default;
  Item const& operator=(Value const& value) const {
    container_->set(key_, value);
    return *this;
  }
  Item const& operator=(Item const& other) const { return *this = other.value(); }

  /// A copy. Throws: as at().
  Value value() const { return container_->at(key_); }
  operator Value() const { return value(); }

  friend bool operator==(Item const& a, Value const& b) { return a.value() == b; }
  friend bool operator==(Item const& a, Item const& b) { return a.value() == b.value(); }

 private:
  Container const* container_;
  Key key_;
};

}  // namespace multiprocessing::base
