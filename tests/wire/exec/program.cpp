// SPDX-License-Identifier: BSL-1.0
// program write FILE: writes functions as bytes. program read FILE: reads and calls them, in
// another run, where everything lies at other addresses.
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>

#include "code.hpp"

namespace mp = multiprocessing;

namespace {

void write(std::ofstream file, mp::Bytes const& bytes) {
  auto const size = bytes.size();
  file.write(reinterpret_cast<char const*>(&size), sizeof size);
  file.write(reinterpret_cast<char const*>(bytes.data()), static_cast<std::streamsize>(size));
}

mp::Bytes read(std::ifstream file) {
  std::size_t size = 0;
  file.read(reinterpret_cast<char*>(&size), sizeof size);
  mp::Bytes bytes(size);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  return bytes;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) return 2;
  std::string const file = argv[2];
  if (std::string(argv[1]) == "write") {
    write(std::ofstream(file + ".message"),
          mp::dumps(code::Message{&code::in_program, &code::in_library, &code::Account::after,
                                  &code::Account::balance}));
    write(std::ofstream(file + ".bound"), mp::dumps(code::greeting()));
    return 0;
  }
  auto const message = mp::loads<code::Message>(read(std::ifstream(file + ".message")));
  using Greeting = decltype(code::greeting());
  auto const greet = mp::loads<Greeting>(read(std::ifstream(file + ".bound")));
  code::Account account;
  account.*message.member = 5;
  std::printf("%d %d %d %s\n", message.program_function(1), message.library_function(1),
              (account.*message.member_function)(2), greet("you").c_str());
  return 0;
} catch (std::exception const& error) {
  std::printf("%s\n", error.what());
  return 1;
}
