// SPDX-License-Identifier: BSL-1.0
// Tests that run under each start method: TEMPLATE_TEST_CASE(.., ByFork, BySpawn, ByForkServer).
#pragma once

#include <utility>

#include <multiprocessing/call.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/start_method.hpp>

namespace support {

template <multiprocessing::StartMethod method>
struct By {
  static multiprocessing::ProcessOptions options() { return {.start_method = method}; }
  static multiprocessing::CallOptions call_options() { return {.start_method = method}; }

  template <class F, class... Args>
  static multiprocessing::Process started(F&& f, Args&&... args) {
    multiprocessing::Process process(options(), std::forward<F>(f), std::forward<Args>(args)...);
    process.start();
    return process;
  }
  template <class F, class... Args>
  static multiprocessing::ExitStatus run(F&& f, Args&&... args) {
    auto process = started(std::forward<F>(f), std::forward<Args>(args)...);
    process.join();
    return process.exit_status().value();
  }
};
using ByFork = By<multiprocessing::StartMethod::fork>;
using BySpawn = By<multiprocessing::StartMethod::spawn>;
using ByForkServer = By<multiprocessing::StartMethod::forkserver>;

}  // namespace support
