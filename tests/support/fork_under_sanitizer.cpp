// SPDX-License-Identifier: BSL-1.0
// The address sanitizers of clang before 17 leave a forked child the locks of their allocator and
// of their list of threads as other threads held them, so a child of several threads may hang in
// its first allocation, or when it starts a thread; the C library's own do not. What the later ones
// do at a fork is done here, but for the table of stacks, whose million locks take 0.3 s a fork.
// Where these functions are not to be had (g++ keeps them inside a shared library) nothing is.
#include <pthread.h>

namespace __lsan {
[[gnu::weak]] void LockThreadRegistry();
[[gnu::weak]] void UnlockThreadRegistry();
[[gnu::weak]] void LockAllocator();
[[gnu::weak]] void UnlockAllocator();
}  // namespace __lsan

namespace {

void lock() {
  if (__lsan::LockThreadRegistry != nullptr) __lsan::LockThreadRegistry();
  if (__lsan::LockAllocator != nullptr) __lsan::LockAllocator();
}
void unlock() {
  if (__lsan::UnlockAllocator != nullptr) __lsan::UnlockAllocator();
  if (__lsan::UnlockThreadRegistry != nullptr) __lsan::UnlockThreadRegistry();
}

// Before any others: the last that is done before a fork, the first after it.
[[gnu::constructor(101)]] void register_at_fork() { ::pthread_atfork(&lock, &unlock, &unlock); }

}  // namespace
