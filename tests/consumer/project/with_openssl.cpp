// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/listener.hpp>

bool other_part_has_openssl() {
#ifdef MULTIPROCESSING_WITH_OPENSSL
  return true;
#else
  return false;
#endif
}
