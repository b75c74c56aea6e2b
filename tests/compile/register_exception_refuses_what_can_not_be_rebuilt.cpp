// SPDX-License-Identifier: BSL-1.0
// expect: this exception can not be rebuilt in another process
// expect: a constructor that takes what() as a std::string
#include <stdexcept>
#include <string>

#include <multiprocessing/errors.hpp>

class ParseError : public std::runtime_error {
 public:
#ifdef WRONG
  explicit ParseError(int line) : std::runtime_error(std::to_string(line)) {}
#else
  explicit ParseError(std::string const& text) : std::runtime_error(text) {}
#endif
};

bool use() { return multiprocessing::register_exception<ParseError>(); }
