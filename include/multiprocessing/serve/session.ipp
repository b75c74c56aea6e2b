// SPDX-License-Identifier: BSL-1.0
// The bodies of session.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <utility>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/random.hpp>
#include <multiprocessing/serve/exposed_type.hpp>
#include <multiprocessing/serve/network_request.hpp>
#include <multiprocessing/serve/session.hpp>

namespace multiprocessing::serve {

MULTIPROCESSING_INLINE std::uint64_t Session::add(Exposed object) {
  std::lock_guard const guard(mutex_);
  objects_.emplace(++last_, std::move(object));
  return last_;
}

MULTIPROCESSING_INLINE Exposed Session::at(std::uint64_t number) const {
  std::lock_guard const guard(mutex_);
  auto const found = objects_.find(number);
  if (found == objects_.end()) throw Error("the object has gone");
  return found->second;
}

MULTIPROCESSING_INLINE void Session::remove(std::uint64_t number) noexcept {
  std::unordered_map<std::uint64_t, Exposed>::node_type gone;  // is destroyed without the mutex
  std::lock_guard const guard(mutex_);
  gone = objects_.extract(number);
}

MULTIPROCESSING_INLINE std::pair<SessionKey, std::shared_ptr<Session>> Sessions::begin() {
  SessionKey key;
  os::fill_with_random(std::as_writable_bytes(std::span(key)));
  auto session = std::make_shared<Session>();
  std::lock_guard const guard(mutex_);
  std::erase_if(sessions_, [](auto const& each) { return each.second.expired(); });
  sessions_.emplace(key, session);
  return {key, std::move(session)};
}

MULTIPROCESSING_INLINE std::shared_ptr<Session> Sessions::join(SessionKey const& key) const {
  std::lock_guard const guard(mutex_);
  auto const found = sessions_.find(key);
  auto session = found != sessions_.end() ? found->second.lock() : nullptr;
  if (session == nullptr) throw Error("the session has ended, and its objects have gone");
  return session;
}

}  // namespace multiprocessing::serve
