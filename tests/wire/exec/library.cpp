// SPDX-License-Identifier: BSL-1.0
#include "code.hpp"

namespace code {
int in_library(int x) { return x * FACTOR; }
}  // namespace code
