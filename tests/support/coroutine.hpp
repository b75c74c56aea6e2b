// SPDX-License-Identifier: BSL-1.0
// A coroutine that begins at once, and that nobody waits for: it says itself when it is over.
#pragma once

#include <coroutine>
#include <exception>

namespace support {

struct Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

}  // namespace support
