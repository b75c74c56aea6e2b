// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/robust_mutex.hpp>

#include <new>

#include <multiprocessing/os/mapping.hpp>
#include <multiprocessing/os/memfd.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace os = multiprocessing::os;

TEST_CASE("a killed holder hands the mutex on, every time, and the next one knows",
          "[robust_mutex]") {
  auto const fd = os::create_memfd("test");
  os::fix_size(fd, 4096);
  os::Mapping const mapping(fd, 4096);
  auto* const mutex = new (mapping.data()) os::RobustMutex;
  for (int round = 0; round < 3; ++round) {
    support::Pipe locked;
    support::RawChild holder([&] {
      static_cast<void>(mutex->lock());
      locked.tell();
      ::pause();
      return 0;
    });
    locked.hear();
    CHECK((mutex->word().load() & FUTEX_TID_MASK) == static_cast<unsigned>(holder.pid()));
    holder.kill();
    holder.wait();
    CHECK((mutex->word().load() & FUTEX_OWNER_DIED) != 0);
    CHECK(mutex->lock() == os::Acquired::Recovered);
    mutex->unlock();
    CHECK(mutex->lock() == os::Acquired::Clean);
    mutex->unlock();
  }
}
