// SPDX-License-Identifier: BSL-1.0
// Knows nothing of OpenSSL; another part of the program does.
#include <multiprocessing/listener.hpp>

bool other_part_has_openssl();

int main() {
  multiprocessing::Listener const listener({.authkey = "key"});
  return other_part_has_openssl() ? 0 : 1;
}
