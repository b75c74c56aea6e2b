// SPDX-License-Identifier: BSL-1.0
// What a program of elsewhere has of a server's objects.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <multiprocessing/serve/exposed_type.hpp>
#include <multiprocessing/serve/network_request.hpp>

namespace multiprocessing::serve {

/// An object, and what may be done with it.
struct Exposed {
  ExposedType const* type;
  std::shared_ptr<ExposedObject> object;
};

/// Its connections share it; with the last one it goes, and what nobody else has of its objects.
/// Numbers of objects mean nothing in another session. Threads: all members safe.
class Session {
 public:
  std::uint64_t add(Exposed object);
  /// Throws: Error when there is none.
  Exposed at(std::uint64_t number) const;
  void remove(std::uint64_t number) noexcept;

 private:
  mutable std::mutex mutex_;
  // guarded by mutex_
  std::unordered_map<std::uint64_t, Exposed> objects_;
  std::uint64_t last_ = 0;
};

/// Threads: all members safe.
class Sessions {
 public:
  /// Throws: std::system_error.
  std::pair<SessionKey, std::shared_ptr<Session>> begin();
  /// Throws: Error when it has ended.
  std::shared_ptr<Session> join(SessionKey const& key) const;

 private:
  mutable std::mutex mutex_;
  std::map<SessionKey, std::weak_ptr<Session>> sessions_;  // guarded by mutex_
};

}  // namespace multiprocessing::serve

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/serve/session.ipp>
#endif
