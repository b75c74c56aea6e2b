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
  shm::Shared<Token> add(std::shared_ptr<Object> object);

  /// Throws: Error when there is none.
  std::shared_ptr<Object> at(std::uint64_t id) const;

  std::size_t size() const noexcept;

  /// Destroys the object, unless somebody has it.
  void forget(std::uint64_t id) noexcept;
  /// Destroys those that nobody has any more, among the `count` whose turn it is.
  void sweep(std::size_t count) noexcept;
  void sweep_all() noexcept { sweep(size()); }

  /// Destroys all. REQUIRES: no call is at one.
  void clear() noexcept;

 private:
  struct Entry {
    std::shared_ptr<Object> object;
    std::size_t place;  ///< in order_
  };

  // A burial looks at all processes, and at all blocks for each dead one: a few objects' price.
  static constexpr std::uint64_t kBetweenBurials = 64;

  /// REQUIRES: mutex_.
  std::shared_ptr<Object> take(std::uint64_t id) noexcept;

  std::atomic<std::uint64_t> added_{0};
  mutable std::mutex mutex_;
  // guarded by mutex_
  std::unordered_map<std::uint64_t, Entry> objects_;  // by id of the token
  std::vector<std::uint64_t> order_;                  // for sweep()
  std::size_t next_ = 0;
};

}  // namespace multiprocessing::serve

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/serve/object_table.ipp>
#endif
