// SPDX-License-Identifier: BSL-1.0
// Producers and consumers killed at random moments, and others started in their place: each message
// is accounted for. And signals, as many as there can be, lose none.
//
//   MULTIPROCESSING_TEST_STORM=1000000     messages that have to arrive
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <multiprocessing/channel.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/pipe.hpp>
#include <multiprocessing/queue.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace channel_storm_test {

namespace mp = multiprocessing;

namespace {

constexpr std::size_t kProducers = 4;
constexpr std::size_t kConsumers = 4;
constexpr long kFewestKills = 60;

long messages_wanted(long fallback) {
  return support::setting("MULTIPROCESSING_TEST_STORM",
                          support::kSanitized ? fallback / 5 : fallback);
}

/// Who has put, and which of his messages this is.
struct Stamp {
  std::uint32_t life = 0;  ///< of a producer: each that is started is another
  std::uint32_t number = 0;
};

/// What happened to the messages, in memory that all processes share.
class Ledger {
 public:
  static constexpr std::size_t kLives = 1 << 14;
  static constexpr std::size_t kMostOfALife = 4096;  ///< messages; then it rests

  Ledger() : lives_(static_cast<Life*>(map())) {}
  Ledger(Ledger const&) = delete;
  Ledger& operator=(Ledger const&) = delete;
  ~Ledger() { ::munmap(lives_, kSize); }

  void note_put(Stamp stamp) { life(stamp).put = stamp.number + 1; }
  void note_got(Stamp stamp) {
    ++life(stamp).got[stamp.number];
    ++arrived();
  }
  std::atomic<long>& arrived() { return lives_[kLives].total; }
  std::atomic<long>& torn() { return lives_[kLives].torn; }
  std::atomic<long>& disordered() { return lives_[kLives].disordered; }

  struct Account {
    long doubled = 0;   ///< got more than once
    long missing = 0;   ///< put() returned, and nobody got it
    long invented = 0;  ///< nobody can have put it
  };
  Account sum_up() const {
    Account account;
    for (std::size_t l = 0; l < kLives; ++l) {
      auto const& life = lives_[l];
      std::uint32_t const put = life.put;
      for (std::uint32_t number = 0; number < kMostOfALife; ++number) {
        int const got = life.got[number];
        account.doubled += got > 1 ? 1 : 0;
        account.missing += number < put && got == 0 ? 1 : 0;
        account.invented += number > put && got != 0 ? 1 : 0;  // put + 1: killed on its way back
        if (number > put && got == 0) break;
      }
    }
    return account;
  }

 private:
  struct Life {
    std::atomic<std::uint32_t> put;
    std::atomic<long> total;
    std::atomic<long> torn;
    std::atomic<long> disordered;
    std::array<std::atomic<std::uint8_t>, kMostOfALife> got;
  };
  static constexpr std::size_t kSize = (kLives + 1) * sizeof(Life);

  static void* map() {
    return ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  }
  Life& life(Stamp stamp) { return lives_[stamp.life]; }

  Life* lives_;
};

// Messages that bear a stamp in all their parts.

struct Numbered {
  std::array<Stamp, 8> parts;
};
Numbered make(Stamp stamp, Numbered const*) {
  Numbered numbered;
  numbered.parts.fill(stamp);
  return numbered;
}
std::string make(Stamp stamp, std::string const*) {
  auto text = std::to_string(stamp.life) + ' ' + std::to_string(stamp.number) + ' ';
  // Most are small, some lie in blocks, up to 100 KB.
  std::mt19937 random(stamp.life * 7919 + stamp.number);
  auto const kind = random() % 8;
  auto const most = kind < 5 ? 100U : kind < 7 ? 9000U : 100'000U;
  text.append(random() % most, static_cast<char>('a' + stamp.number % 26));
  return text;
}
bool operator==(Stamp a, Stamp b) { return a.life == b.life && a.number == b.number; }
/// Whether it is whole.
bool read(Numbered const& numbered, Stamp& stamp) {
  auto const& parts = numbered.parts;
  stamp = parts[0];
  return std::count(parts.begin(), parts.end(), stamp) == static_cast<long>(parts.size());
}
bool read(std::string const& text, Stamp& stamp) {
  std::istringstream(text) >> stamp.life >> stamp.number;
  return text == make(stamp, &text);
}

// What they go through. Who only puts, or only gets, says so first.

template <class T>
struct ByQueue {
  using Message = T;
  mp::Queue<T> queue{200};
  void begin_to_put() const {}
  void begin_to_get() const {}
  void put(T const& item) const { queue.put(item); }
  T get() const { return queue.get(); }  // throws at the end
  void end() const { queue.shutdown(); }
};
template <class T>
struct ByChannel {
  using Message = T;
  std::pair<mp::Sender<T>, mp::Receiver<T>> ends = mp::Channel<T>(200);
  void begin_to_put() const { ends.second.close(); }
  void begin_to_get() const { ends.first.close(); }
  void put(T const& item) const { ends.first.put(item); }
  T get() const { return ends.second.get(); }
  void end() const { ends.first.close(); }
};
template <class T>
struct ByPipe {
  using Message = T;
  std::pair<mp::Connection<T>, mp::Connection<T>> ends = mp::Pipe<T>();
  void begin_to_put() const { ends.second.close(); }
  void begin_to_get() const { ends.first.close(); }
  void put(T const& item) const { ends.first.send(item); }
  T get() const { return ends.second.recv(); }
  void end() const { ends.first.close(); }
};

template <class Way>
void produce(Way const& way, Ledger& ledger, std::uint32_t life, std::atomic<bool> const& is_over,
             std::size_t most = Ledger::kMostOfALife) {
  way.begin_to_put();
  for (Stamp stamp{life, 0}; stamp.number < most && !is_over; ++stamp.number) {
    way.put(make(stamp, static_cast<typename Way::Message*>(nullptr)));
    ledger.note_put(stamp);
  }
}
template <class Way>
void consume(Way const& way, Ledger& ledger) {
  way.begin_to_get();
  std::vector<long> last(Ledger::kLives, -1);
  try {
    for (;;) {
      auto const message = way.get();
      Stamp stamp;
      if (!read(message, stamp)) {
        ++ledger.torn();
        continue;
      }
      ledger.note_got(stamp);
      if (stamp.number <= last[stamp.life]) ++ledger.disordered();
      last[stamp.life] = stamp.number;
    }
  } catch (mp::ShutDown const&) {
  } catch (mp::EOFError const&) {
  }
}

using Children = std::vector<std::unique_ptr<support::RawChild>>;

/// Something that all processes see.
template <class T>
struct SharedFlag {
  T* value = new (::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
      T(false);
  ~SharedFlag() { ::munmap(value, 4096); }
};

template <class Way>
void storm(long messages) {
  auto& arena = mp::shm::Heap::instance().arena();
  arena.bury_the_dead();
  auto const blocks = arena.used_blocks();
  {
    Way const way;
    Ledger ledger;
    SharedFlag<std::atomic<bool>> const is_over;
    std::uint32_t lives = 0;
    // Not killed before it is there: what it has inherited would stay for a minute.
    support::Pipe const ready;
    auto const start = [&](auto const& work) {
      auto child = std::make_unique<support::RawChild>([&] {
        ready.tell();
        work();
      });
      ready.hear();
      return child;
    };
    auto const producer = [&] {
      auto const life = lives++;
      return start([&, life] {
        produce(way, ledger, life, *is_over.value);
        while (!*is_over.value) std::this_thread::yield();
      });
    };
    auto const consumer = [&] { return start([&] { consume(way, ledger); }); };
    Children producers;
    Children consumers;
    for (std::size_t i = 0; i < kProducers; ++i) producers.push_back(producer());
    for (std::size_t i = 0; i < kConsumers; ++i) consumers.push_back(consumer());

    std::mt19937 random(1);  // NOLINT: the same run every time, as far as the kernel lets it
    long killed_producers = 0;
    long killed_consumers = 0;
    auto const replace = [](auto& victim, auto const& successor, long& count) {
      victim->kill();
      victim->wait();
      victim = successor();
      ++count;
    };
    while ((killed_producers + killed_consumers < kFewestKills || ledger.arrived() < messages) &&
           lives < Ledger::kLives) {
      for (auto pause = random() % 300; pause > 0; --pause) std::this_thread::yield();
      if (random() % 2 == 0) {
        replace(producers[random() % kProducers], producer, killed_producers);
      } else {
        replace(consumers[random() % kConsumers], consumer, killed_consumers);
      }
    }
    *is_over.value = true;
    for (auto& child : producers) CHECK(child->wait() == 0);
    way.end();
    for (auto& child : consumers) CHECK(child->wait() == 0);

    auto const account = ledger.sum_up();
    INFO(ledger.arrived() << " messages, " << killed_producers << " producers and "
                          << killed_consumers << " consumers killed");
    CHECK(ledger.torn() == 0);
    CHECK(ledger.disordered() == 0);
    CHECK(account.doubled == 0);
    CHECK(account.invented == 0);
    CHECK(account.missing <= killed_consumers);
  }
  arena.bury_the_dead();
  CHECK(arena.used_blocks() == blocks);
}

void ignore(int) {}

/// SIGUSR1 every 100 us, to this process, from now on; system calls are not restarted.
void begin_to_disturb_myself() {
  struct sigaction action {};
  action.sa_handler = &ignore;
  ::sigaction(SIGUSR1, &action, nullptr);
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGUSR1;
  timer_t timer{};
  constexpr long kPeriod = 100'000;  // ns
  itimerspec const period{{0, kPeriod}, {0, kPeriod}};
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
      ::timer_settime(timer, 0, &period, nullptr) != 0) {
    std::abort();
  }
}

template <class Way>
void disturb(long messages) {
  Way const way;
  Ledger ledger;
  SharedFlag<std::atomic<bool>> const never;
  constexpr std::uint32_t kEach = 2;
  auto const each =
      std::min<std::size_t>(static_cast<std::size_t>(messages) / kEach, Ledger::kMostOfALife);
  Children producers;
  Children consumers;
  for (std::uint32_t i = 0; i < kEach; ++i) {
    producers.push_back(std::make_unique<support::RawChild>([&, i] {
      begin_to_disturb_myself();
      produce(way, ledger, i, *never.value, each);
    }));
    consumers.push_back(std::make_unique<support::RawChild>([&] {
      begin_to_disturb_myself();
      consume(way, ledger);
    }));
  }
  for (auto& child : producers) CHECK(child->wait() == 0);
  way.end();
  for (auto& child : consumers) CHECK(child->wait() == 0);
  auto const account = ledger.sum_up();
  CHECK(ledger.arrived() == static_cast<long>(kEach * each));
  CHECK(ledger.torn() == 0);
  CHECK(ledger.disordered() == 0);
  CHECK(account.doubled + account.missing + account.invented == 0);
}

}  // namespace

TEMPLATE_TEST_CASE("a storm of kills loses, doubles and tears no message", "[faults][stress]",
                   ByQueue<Numbered>, ByChannel<Numbered>, ByPipe<Numbered>) {
  storm<TestType>(messages_wanted(50'000));
}

TEMPLATE_TEST_CASE("a storm of kills loses, doubles and tears no message of any size",
                   "[faults][stress]", ByQueue<std::string>, ByChannel<std::string>,
                   ByPipe<std::string>) {
  storm<TestType>(messages_wanted(10'000));
}

TEMPLATE_TEST_CASE("a storm of signals loses no message", "[faults][stress]", ByQueue<Numbered>,
                   ByPipe<Numbered>, ByQueue<std::string>, ByPipe<std::string>) {
  disturb<TestType>(messages_wanted(4000));
}

}  // namespace channel_storm_test
