// SPDX-License-Identifier: BSL-1.0
// What crosses from one run of a program to another.
#pragma once

#include <string>

#include <multiprocessing/pickle.hpp>

namespace code {

int in_library(int x);  // of the shared library

inline int in_program(int x) { return x + 1; }

struct Account {
  int balance = 0;
  int after(int deposit) const { return balance + deposit; }
};

inline auto greeting() {
  return multiprocessing::bind([](std::string const& a, std::string const& b) { return a + b; },
                               std::string("hello "));
}

struct Message {
  int (*program_function)(int) = nullptr;
  int (*library_function)(int) = nullptr;
  int (Account::*member_function)(int) const = nullptr;
  int Account::*member = nullptr;
};

}  // namespace code
