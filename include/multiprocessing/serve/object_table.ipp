// SPDX-License-Identifier: BSL-1.0
// The bodies of object_table.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/serve/object_lock.hpp>
#include <multiprocessing/serve/object_table.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::serve {

MULTIPROCESSING_INLINE shm::Shared<Token> ObjectTable::add(std::shared_ptr<Object> object) {
  auto const token = shm::Shared<Token>::make(0);
  if (++added_ % kBetweenBurials == 0) shm::Heap::instance().arena().bury_the_dead();
  constexpr std::size_t kLooksEach = 2;  // more than are added, so that the gone do not pile up
  sweep(kLooksEach);
  std::lock_guard const guard(mutex_);
  order_.push_back(token.id());
  try {
    objects_.emplace(token.id(), Entry{std::move(object), order_.size() - 1});
  } catch (...) {
    order_.pop_back();
    throw;
  }
  return token;
}

MULTIPROCESSING_INLINE std::shared_ptr<Object> ObjectTable::at(std::uint64_t id) const {
  std::lock_guard const guard(mutex_);
  auto const found = objects_.find(id);
  if (found == objects_.end()) throw Error("Manager: the object has gone");
  return found->second.object;
}

MULTIPROCESSING_INLINE std::size_t ObjectTable::size() const noexcept {
  std::lock_guard const guard(mutex_);
  return objects_.size();
}

MULTIPROCESSING_INLINE void ObjectTable::forget(std::uint64_t id) noexcept {
  if (shm::Heap::instance().arena().exists(id)) return;
  std::shared_ptr<Object> gone;
  std::lock_guard const guard(mutex_);
  gone = take(id);
}

MULTIPROCESSING_INLINE void ObjectTable::sweep(std::size_t count) noexcept {
  for (; count != 0; --count) {
    std::uint64_t id = 0;
    {
      std::lock_guard const guard(mutex_);
      if (order_.empty()) return;
      next_ = next_ == 0 ? order_.size() - 1 : next_ - 1;  // what comes in its place was seen
      if (next_ >= order_.size()) next_ = order_.size() - 1;
      id = order_[next_];
    }
    forget(id);
  }
}

MULTIPROCESSING_INLINE void ObjectTable::clear() noexcept {
  std::unordered_map<std::uint64_t, Entry> gone;
  std::lock_guard const guard(mutex_);
  gone.swap(objects_);
  order_.clear();
}

MULTIPROCESSING_INLINE std::shared_ptr<Object> ObjectTable::take(std::uint64_t id) noexcept {
  auto const node = objects_.extract(id);
  if (!node) return nullptr;
  auto const [object, place] = node.mapped();
  if (order_.back() != id) {
    order_[place] = order_.back();
    objects_.find(order_[place])->second.place = place;
  }
  order_.pop_back();
  return object;
}

}  // namespace multiprocessing::serve
