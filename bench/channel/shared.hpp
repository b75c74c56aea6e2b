// SPDX-License-Identifier: BSL-1.0
// Objects in memory that forked children share.
#pragma once

#include <memory>
#include <new>
#include <utility>

#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <boost/interprocess/mapped_region.hpp>

namespace bench {

/// A T in pages of its own. It is not destroyed: others may use it yet.
template <class T, class... Args>
std::shared_ptr<T> make_shared_memory(Args&&... args) {
  auto region = std::make_shared<boost::interprocess::mapped_region>(
      boost::interprocess::anonymous_shared_memory(sizeof(T)));
  auto* const object = new (region->get_address()) T(std::forward<Args>(args)...);
  return {std::move(region), object};
}

}  // namespace bench
