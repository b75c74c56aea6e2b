// SPDX-License-Identifier: BSL-1.0
// The bodies of start_method.hpp.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/launch/spawn_child.hpp>
#include <multiprocessing/start_method.hpp>

namespace multiprocessing {

MULTIPROCESSING_INLINE void init(int argc, char const* const* argv) {
  launch::live_if_spawned(argc, argv);
}

MULTIPROCESSING_INLINE void set_executable(std::string path) {
  if (path.empty()) throw std::invalid_argument("set_executable: the path is empty");
  launch::Executable::instance().set(std::move(path));
}

}  // namespace multiprocessing
