// SPDX-License-Identifier: BSL-1.0
// One process sends, another receives until the end of file.
#include <iostream>
#include <string>
#include <utility>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/pipe.hpp>
#include <multiprocessing/process.hpp>

namespace mp = multiprocessing;

void send_all(mp::Connection<std::string, void> const& out) {
  for (auto const* text : {"first", "second", "third"}) out.send(text);
}  // the end that it was given goes with the process: so it would if that were killed

void receive_all(mp::Connection<void, std::string> const& in) {
  try {
    for (;;) std::cout << "received: " << in.recv() << '\n';
  } catch (mp::EOFError const&) {
    std::cout << "end of file\n";
  }
}

int main() {
  auto [reader, writer] = mp::Pipe<std::string>(mp::one_way);
  mp::Process sender(send_all, std::move(writer));  // moved: the child's alone once it has started
  mp::Process receiver(receive_all, std::move(reader));
  sender.start();
  receiver.start();
  sender.join();
  receiver.join();
}
