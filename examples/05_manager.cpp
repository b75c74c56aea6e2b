// SPDX-License-Identifier: BSL-1.0
// Three workers change a dictionary and a list, which a manager's process has.
#include <iostream>
#include <string>
#include <vector>

#include <multiprocessing/manager.hpp>
#include <multiprocessing/process.hpp>

namespace mp = multiprocessing;

void work(int number, mp::DictProxy<int, std::string> const& results, mp::ListProxy<int> const& log,
          mp::DictProxy<std::string, int> const& counts) {
  results[number] = std::string(static_cast<std::size_t>(number), '*');
  log.append(number * 10);
  counts.update("workers", [](int& n) { ++n; });  // runs in the manager: no update is lost
}

int main() {
  mp::Manager manager;
  auto const results = manager.dict<int, std::string>();
  auto const log = manager.list<int>();
  auto const counts = manager.dict<std::string, int>();

  std::vector<mp::Process> workers;
  for (int number : {1, 2, 3}) workers.emplace_back(work, number, results, log, counts);
  for (auto& worker : workers) worker.start();
  for (auto& worker : workers) worker.join();

  log.sort();  // they came in any order
  std::cout << results << '\n' << log << '\n' << counts << '\n';
}
