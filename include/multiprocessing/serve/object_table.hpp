// SPDX-License-Identifier: BSL-1.0
// The objects of a server, by what keeps them: a block of the heap, the token, which proxies hold,
// in whatever process. The server does not; so when the last proxy is gone, however its process
// ended, the token is, too.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <typeinfo>
#include <unordered_map>
#include <utility>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/serve/object_lock.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::serve {

/// What having an object is.
struct Token {};

/// Whether calls may be at a T at once; specialized for those whose members are safe.
template <class T>
inline constexpr bool kIsThreadSafe = false;

/// Of any type.
class Object {
 public:
  explicit Object(std::type_info const& type) : type_(&type) {}
  Object(Object const&) = delete;
  Object& operator=(Object const&) = delete;
  virtual ~Object() = default;

  /// Throws: TypeError when it is of another type.
  template <class T>
  T& as();

  ObjectLock& lock() noexcept { return lock_; }

 private:
  std::type_info const* type_;
  ObjectLock lock_;
};

template <class T>
class Held final : public Object {
 public:
  template <class... Args>
  explicit Held(Args&&... args) : Object(typeid(T)), value(std::forward<Args>(args)...) {}
  T value;
};

template <class T>
T& Object::as() {
  if (*type_ == typeid(T)) return static_cast<Held<T>*>(this)->value;
  throw TypeError("Manager: the object is a " + base::type_name(*type_) + ", not a " +
                  base::type_name(typeid(T)));
}

/// Threads: all members safe. Objects are destroyed without its mutex.
class ObjectTable {
 public:
  /// Throws: std::bad_alloc.
  shm::Shared<Token> add(std::shared_ptr<Object> object) {
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

  /// Throws: Error when there is none.
  std::shared_ptr<Object> at(std::uint64_t id) const {
    std::lock_guard const guard(mutex_);
    auto const found = objects_.find(id);
    if (found == objects_.end()) throw Error("Manager: the object has gone");
    return found->second.object;
  }

  std::size_t size() const noexcept {
    std::lock_guard const guard(mutex_);
    return objects_.size();
  }

  /// Destroys the object, unless somebody has it.
  void forget(std::uint64_t id) noexcept {
    if (shm::Heap::instance().arena().exists(id)) return;
    std::shared_ptr<Object> gone;
    std::lock_guard const guard(mutex_);
    gone = take(id);
  }
  /// Destroys those that nobody has any more, among the `count` whose turn it is.
  void sweep(std::size_t count) noexcept {
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
  void sweep_all() noexcept { sweep(size()); }

  /// Destroys all. REQUIRES: no call is at one.
  void clear() noexcept {
    std::unordered_map<std::uint64_t, Entry> gone;
    std::lock_guard const guard(mutex_);
    gone.swap(objects_);
    order_.clear();
  }

 private:
  struct Entry {
    std::shared_ptr<Object> object;
    std::size_t place;  ///< in order_
  };

  // A burial looks at all processes, and at all blocks for each dead one: a few objects' price.
  static constexpr std::uint64_t kBetweenBurials = 64;

  /// REQUIRES: mutex_.
  std::shared_ptr<Object> take(std::uint64_t id) noexcept {
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

  std::atomic<std::uint64_t> added_{0};
  mutable std::mutex mutex_;
  // guarded by mutex_
  std::unordered_map<std::uint64_t, Entry> objects_;  // by id of the token
  std::vector<std::uint64_t> order_;                  // for sweep()
  std::size_t next_ = 0;
};

}  // namespace multiprocessing::serve
