// SPDX-License-Identifier: BSL-1.0
// Tasks that keep a processor busy, each in a process of its own, which has a name and logs.
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include <multiprocessing/logging.hpp>
#include <multiprocessing/process.hpp>

namespace mp = multiprocessing;

// An ordinary function. What it gets is a copy, what it returns is ignored.
void cpu_bound_task(std::uint64_t number, std::uint64_t rounds) {
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < rounds; ++i) sum += i * i % number;
  mp::get_logger().info("the sum is " + std::to_string(sum));
}

int main() {
  mp::log_to_stderr(mp::LogLevel::info);  // children log there, too; their lines never mix

  std::vector<mp::Process> workers;
  for (std::uint64_t number = 1; number <= 3; ++number) {
    auto name = "Worker-" + std::to_string(number);
    workers.emplace_back(mp::ProcessOptions{.name = name}, cpu_bound_task, number, 20'000'000);
    workers.back().start();
  }
  mp::get_logger().info("all have been started");
  for (auto& worker : workers) {
    worker.join();
    std::cout << worker.name() << ' ' << *worker.exit_status() << '\n';
  }
}
