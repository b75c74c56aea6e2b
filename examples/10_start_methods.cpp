// SPDX-License-Identifier: BSL-1.0
// Three ways to start a process, and what it then has of its parent's memory.
#include <iostream>

#include <multiprocessing/context.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/start_method.hpp>

namespace mp = multiprocessing;

int setting = 1;

void report() { std::cout << "  setting is " << setting << '\n'; }

int main(int argc, char** argv) {
  mp::init(argc, argv);  // first of all: a spawned process begins its work here
  setting = 2;

  std::cout << "unless set: " << mp::get_all_start_methods().front() << '\n';
  mp::set_start_method(mp::StartMethod::spawn);  // once, before anything is started
  std::cout << "the program's: " << mp::get_start_method() << '\n' << std::flush;
  mp::Process process(report);
  process.start();
  process.join();

  for (auto const method : mp::get_all_start_methods()) {
    std::cout << "one process's: " << method << '\n' << std::flush;
    mp::Process own({.start_method = method}, report);
    own.start();
    own.join();
  }

  auto const context = mp::get_context(mp::StartMethod::forkserver);  // for all of a library's
  std::cout << "a context's: " << context.get_start_method() << '\n';
  std::cout << "  4 squared is " << context.pool(1).apply([](int n) { return n * n; }, 4) << '\n';
}
