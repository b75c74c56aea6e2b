// SPDX-License-Identifier: BSL-1.0
// SIGKILL at each moment, see support/scenes.hpp, of everything that a queue and a pipe can do: who
// is killed loses its own message at most; all others arrive, once, whole and in order; and no
// memory stays behind.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/channel.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/fd.hpp>
#include <multiprocessing/pipe.hpp>
#include <multiprocessing/queue.hpp>
#include <multiprocessing/value.hpp>
#include <multiprocessing/wait.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/scenes.hpp"

namespace kill_in_channel_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;
using support::Steps;

namespace {

mp::shm::Arena& arena() { return mp::shm::Heap::instance().arena(); }

/// Kills at every step; each time all memory has to go back.
template <Steps steps = Steps::OfTheCall, class Make>
void kill_at_every_step(Make const& make, double factor = 1) {
  arena().bury_the_dead();
  auto const before = arena().used_blocks();
  auto const stride = static_cast<double>(support::stride(5));
  auto const step = stride == 1 ? 1 : std::max(1L, std::lround(factor * stride));
  auto const attempts_by = [&](long its_step) {
    return support::kill_at_every_step<steps>(its_step, [&] {
      arena().bury_the_dead();
      REQUIRE(arena().used_blocks() == before);
      return make();
    });
  };
  if (attempts_by(step) <= 1) CHECK(attempts_by(1) > 1);  // too few steps to leave any out
  arena().bury_the_dead();
  CHECK(arena().used_blocks() == before);
  mp::shm::Heap::instance().vault().tidy();
  CHECK(mp::shm::Heap::instance().vault().size() == 0);
}

// Messages with a number in each of their parts.

struct Numbered {
  int parts[24];
};
Numbered message(int number, Numbered const*, std::size_t) {
  Numbered numbered;
  std::fill(std::begin(numbered.parts), std::end(numbered.parts), number);
  return numbered;
}
std::string message(int number, std::string const*, std::size_t size) {
  auto text = std::to_string(number) + ' ';
  text.resize(size, static_cast<char>('a' + number % 26));
  return text;
}
/// What is in the file that comes along.
struct WithFile {
  int number;
  mp::Fd file;
};
WithFile message(int number, WithFile const*, std::size_t) {
  WithFile made{number, mp::Fd(::memfd_create("test", MFD_CLOEXEC))};
  if (::pwrite(made.file.get(), &number, sizeof number, 0) != sizeof number) std::abort();
  return made;
}
int number_of(WithFile const& message) {
  int number = -1;
  if (::pread(message.file.get(), &number, sizeof number, 0) != sizeof number) return -1;
  return number == message.number ? number : -1;
}
/// -1: torn.
int number_of(Numbered const& numbered) {
  auto const& parts = numbered.parts;
  bool const is_whole = std::count(std::begin(parts), std::end(parts), parts[0]) == 24;
  return is_whole ? parts[0] : -1;
}
int number_of(std::string const& text) {
  int const number = std::atoi(text.c_str());
  return text == message(number, &text, text.size()) ? number : -1;
}

// What messages go through.

template <class T>
struct ByQueue {
  using Message = T;
  mp::Queue<T> queue;
  void put(T const& item) const { queue.put(item); }
  T get() const { return queue.get(); }
  std::optional<T> try_get() const { return queue.try_get(); }
};
template <class T>
struct ByChannel {
  using Message = T;
  std::pair<mp::Sender<T>, mp::Receiver<T>> ends = mp::Channel<T>();
  void put(T const& item) const { ends.first.put(item); }
  T get() const { return ends.second.get(); }
  std::optional<T> try_get() const { return ends.second.try_get(); }
};
template <class T>
struct ByPipe {
  using Message = T;
  std::pair<mp::Connection<T>, mp::Connection<T>> ends = mp::Pipe<T>();
  void put(T const& item) const { ends.first.send(item); }
  T get() const { return ends.second.recv(); }
  std::optional<T> try_get() const { return ends.second.try_recv(); }
};
/// Loans and views.
struct ByLoan {
  using Message = std::string;
  std::pair<mp::Connection<mp::Any>, mp::Connection<mp::Any>> ends = mp::Pipe();
  void put(std::string const& text) const {
    auto loan = ends.first.loan(text.size());
    std::memcpy(loan.bytes().data(), text.data(), text.size());
    ends.first.send(std::move(loan));
  }
  std::string get() const {
    auto const view = ends.second.recv_view();
    return {reinterpret_cast<char const*>(view.bytes().data()), view.bytes().size()};
  }
  std::optional<std::string> try_get() const {
    return ends.second.poll() ? std::optional(get()) : std::nullopt;
  }
};

/// Whom the locks are biased to when the victim begins.
enum class Bias { Nobodys, Victims, Anothers };
using Nobodys = std::integral_constant<Bias, Bias::Nobodys>;
using Victims = std::integral_constant<Bias, Bias::Victims>;
using Anothers = std::integral_constant<Bias, Bias::Anothers>;

struct Course {
  std::size_t size;   ///< of the messages
  int rounds;         ///< messages that went through before, while nobody has a bias
  int backlog = 0;    ///< messages that are there
  double stride = 1;  ///< this times the usual
};
// Eight messages of 8000 bytes fill a chunk. So the next put needs a new one, and the next get
// leaves the old one; after three times eight an emptied chunk is kept for that.
constexpr double kFine = 0.06;  // for calls that are short
constexpr Course kSmall{100, 10, 2};
constexpr Course kNewChunk{8000, 8, 0, 1};
constexpr Course kKeptChunk{8000, 24, 0, 1};
constexpr Course kChunkToLeave{8000, 8, 2, 1};
constexpr Course kFirst{100, 0, 0};
constexpr Course kInBlocks{9000, 10, 2, 5};
constexpr Course kLoans{50, 10, 2};
constexpr Course kFiles{0, 3, 2, 2};

/// Messages are numbered as they are put. What was put and got by calls that returned is noted.
template <class Kind>
struct Traffic : support::Scene {
  using Message = typename Kind::Message;

  Bias bias;
  Course course;
  Kind kind;
  mp::RawValue<int> put_so_far{0};
  mp::RawValue<int> got_so_far{0};

  Traffic(Bias whose, Course what) : bias(whose), course(what) {
    if (bias != Bias::Victims) bring_there();
  }
  void prepare() {
    if (bias == Bias::Victims) bring_there();
    prepared_ = make(put_so_far.value());
  }

  void put() {
    if (!prepared_) prepared_ = make(put_so_far.value());
    kind.put(*prepared_);
    prepared_.reset();
    put_so_far = put_so_far.value() + 1;
  }
  void get() {
    static_cast<void>(kind.get());
    got_so_far = got_so_far.value() + 1;
  }

  /// What is there, to the last.
  std::vector<int> drain() {
    std::vector<int> numbers;
    while (auto const got = kind.try_get()) numbers.push_back(number_of(*got));
    return numbers;
  }

  /// Others put and get what they like. All messages have arrived; the one that the victim was
  /// putting may have, the one that it was getting may not.
  void check_all_arrive(int may_be_more, int may_be_less) {
    constexpr int kLater = 1000;
    constexpr int kMore = 12;
    std::vector<int> got;
    bool const drain_first = looks_++ % 2 == 0;
    if (drain_first) {
      got = drain();
      use_free_memory();
    }
    for (int i = 0; i < kMore; ++i) kind.put(make(kLater + i));
    for (int const number : drain()) got.push_back(number);
    use_free_memory();

    std::vector<int> later(kMore);
    std::iota(later.begin(), later.end(), kLater);
    bool is_right = false;
    for (int more = 0; more <= may_be_more; ++more) {
      for (int less = 0; less <= may_be_less; ++less) {
        std::vector<int> expected;
        for (int i = got_so_far.value() + less; i < put_so_far.value() + more; ++i) {
          expected.push_back(i);
        }
        expected.insert(expected.end(), later.begin(), later.end());
        is_right = is_right || got == expected;
      }
    }
    CAPTURE(got, put_so_far.value(), got_so_far.value(), drain_first, static_cast<int>(bias));
    REQUIRE(is_right);
    for (int i = 0; i < 3; ++i) {
      kind.put(make(i));
      REQUIRE(number_of(kind.get()) == i);
    }
    REQUIRE(drain().empty());
  }

 private:
  Message make(int number) const {
    return message(number, static_cast<Message*>(nullptr), course.size);
  }
  void bring_there() {
    int const for_a_bias = 48;
    for (int i = 0; i < (bias == Bias::Nobodys ? course.rounds : for_a_bias); ++i) {
      put();
      get();
    }
    for (int i = 0; i < course.backlog; ++i) put();
  }
  /// Whatever has been freed is somebody else's now.
  static void use_free_memory() {
    std::vector<std::unique_ptr<mp::shm::Lease>> leases;
    for (std::uint64_t const size : {1ULL << 16, 1ULL << 16, 1ULL << 16, 16384ULL, 16384ULL}) {
      leases.push_back(std::make_unique<mp::shm::Lease>(size));
      std::memset(leases.back()->data(), 0xff, size);
    }
  }

  std::optional<Message> prepared_;  // the victim's
  static inline int looks_ = 0;
};

template <class Kind, class Act>
void kill_in_traffic(Course course, int may_be_more, int may_be_less, Act const& act) {
  struct OneAct : Traffic<Kind> {
    OneAct(Bias whose, Course what, Act const& action, int more, int less)
        : Traffic<Kind>(whose, what), act_(action), more_(more), less_(less) {}
    void victim() { act_(*this); }
    void check() { this->check_all_arrive(more_, less_); }
    Act act_;
    int more_;
    int less_;
  };
  for (auto const bias : {Bias::Nobodys, Bias::Victims, Bias::Anothers}) {
    kill_at_every_step([&] { return OneAct(bias, course, act, may_be_more, may_be_less); },
                       course.stride);
  }
}
auto const kPut = [](auto& traffic) { traffic.put(); };
auto const kGet = [](auto& traffic) { traffic.get(); };

}  // namespace

TEMPLATE_TEST_CASE("a small message is put: killed at every step", "[faults]", ByQueue<Numbered>,
                   ByQueue<std::string>, ByPipe<std::string>, ByChannel<std::string>) {
  auto course = kSmall;
  if (std::is_same_v<TestType, ByQueue<Numbered>>) course.stride = 0.25;
  kill_in_traffic<TestType>(course, 1, 0, kPut);
}

TEMPLATE_TEST_CASE("a small message is got: killed at every step", "[faults]", ByQueue<Numbered>,
                   ByQueue<std::string>, ByPipe<std::string>, ByChannel<std::string>) {
  auto course = kSmall;
  if (std::is_same_v<TestType, ByQueue<Numbered>>) course.stride = 0.25;
  kill_in_traffic<TestType>(course, 0, 1, kGet);
}

TEMPLATE_TEST_CASE("a message in a block is put: killed at every step", "[faults]",
                   ByQueue<std::string>, ByPipe<std::string>) {
  kill_in_traffic<TestType>(kInBlocks, 1, 0, kPut);
}

TEMPLATE_TEST_CASE("a message in a block is got: killed at every step", "[faults]",
                   ByQueue<std::string>, ByPipe<std::string>) {
  kill_in_traffic<TestType>(kInBlocks, 0, 1, kGet);
}

TEST_CASE("a message with a descriptor is put: killed at every step", "[faults]") {
  kill_in_traffic<ByQueue<WithFile>>(kFiles, 1, 0, kPut);
}

TEST_CASE("a message with a descriptor is got: killed at every step", "[faults]") {
  kill_in_traffic<ByQueue<WithFile>>(kFiles, 0, 1, kGet);
}

TEST_CASE("a loan is made and sent: killed at every step", "[faults]") {
  kill_in_traffic<ByLoan>(kLoans, 1, 0, kPut);
}

TEST_CASE("a view of a loan is received: killed at every step", "[faults]") {
  kill_in_traffic<ByLoan>(kLoans, 0, 1, kGet);
}

TEMPLATE_TEST_CASE("a put goes on in another chunk: killed at every step", "[faults]",
                   ByQueue<std::string>, ByPipe<std::string>) {
  for (auto const& course : {kFirst, kNewChunk, kKeptChunk}) {
    kill_in_traffic<TestType>(course, 1, 0, kPut);
  }
}

TEMPLATE_TEST_CASE("a get goes on in another chunk: killed at every step", "[faults]",
                   ByQueue<std::string>, ByPipe<std::string>) {
  for (auto course : {kFirst, kChunkToLeave, kKeptChunk}) {
    course.backlog = 2;
    kill_in_traffic<TestType>(course, 0, 1, kGet);
  }
}

TEST_CASE("a pipe is polled where a chunk has to be left: killed at every step", "[faults]") {
  kill_in_traffic<ByPipe<std::string>>(kChunkToLeave, 0, 0, [](auto& traffic) {
    static_cast<void>(traffic.kind.ends.second.poll());
  });
}

TEST_CASE("a queue that only the victim closes is killed at every step, and goes on", "[faults]") {
  kill_in_traffic<ByQueue<std::string>>(kSmall, 0, 0,
                                        [](auto& traffic) { traffic.kind.queue.close(); });
}

namespace {

// Most steps of a call that blocks are spent spinning.
constexpr double kWhileSpinning = 3;

struct BlockedGet : Traffic<ByQueue<std::string>> {
  using Traffic::Traffic;
  void victim() { get(); }
  void wake() { put(); }
  void check() { check_all_arrive(0, 1); }
};

}  // namespace

TEMPLATE_TEST_CASE("a blocked get is woken: killed at every step", "[faults]", Nobodys, Victims,
                   Anothers) {
  for (auto const& course : {kFirst, kNewChunk, Course{9000, 10, 0, 5}}) {
    auto const make = [&] { return BlockedGet(TestType::value, course); };
    kill_at_every_step(make, kWhileSpinning * course.stride);
    kill_at_every_step<Steps::AfterItsWaking>(make, course.stride);
  }
}

namespace {

struct Bounded {
  using Message = std::string;
  mp::Queue<std::string> queue{12};
  void put(std::string const& item) const { queue.put(item); }
  std::string get() const { return queue.get(); }
  std::optional<std::string> try_get() const { return queue.try_get(); }
};
struct BlockedPut : Traffic<Bounded> {
  using Traffic::Traffic;
  void victim() { put(); }
  void wake() { get(); }
  void check() {
    if (put_so_far.value() - got_so_far.value() == 12) get();
    auto const numbers = drain();
    std::vector<int> expected;
    for (int i = got_so_far.value(); i < put_so_far.value(); ++i) expected.push_back(i);
    if (numbers.size() == expected.size() + 1) expected.push_back(put_so_far.value());
    REQUIRE(numbers == expected);
    got_so_far = 0;
    put_so_far = 0;
    check_all_arrive(0, 0);
  }
};

}  // namespace

TEMPLATE_TEST_CASE("a blocked put is woken: killed at every step", "[faults]", Nobodys, Victims,
                   Anothers) {
  for (auto const& course : {Course{100, 0, 12}, Course{9000, 0, 12, 5}}) {
    auto const make = [&] { return BlockedPut(TestType::value, course); };
    kill_at_every_step(make, kWhileSpinning * course.stride);
    kill_at_every_step<Steps::AfterItsWaking>(make, course.stride);
  }
}

TEST_CASE("one of two who wait is killed at every step of its waking: the other is not forgotten",
          "[faults]") {
  struct Wake : Traffic<ByQueue<std::string>> {
    std::unique_ptr<support::Survivors> other;
    Wake() : Traffic(Bias::Nobodys, kFirst) {
      other = std::make_unique<support::Survivors>(1, [this] { return number_of(kind.get()) + 1; });
    }
    void victim() { get(); }
    void wake() { put(); }
    void check() {
      put();
      int const got = other->wait() - 1;
      auto const left = drain();
      // Of the two messages the other got one, and the victim one at most.
      REQUIRE((got == 0 || got == 1));
      REQUIRE(left.size() <= 1);
      if (!left.empty()) REQUIRE(left[0] == 1 - got);
    }
  };
  kill_at_every_step<Steps::AfterItsWaking>([] { return Wake(); });
}

TEST_CASE("a wait for several is killed at every step: whoever else waits is told", "[faults]") {
  struct WaitForBoth : Traffic<ByQueue<std::string>> {
    mp::Queue<int> quiet;
    std::unique_ptr<support::Survivors> other;
    WaitForBoth() : Traffic(Bias::Nobodys, kFirst) {
      other = std::make_unique<support::Survivors>(1, [this] {
        static_cast<void>(mp::wait({&kind.queue, &quiet}));
        return number_of(kind.get()) + 1;
      });
    }
    void victim() { static_cast<void>(mp::wait({&kind.queue, &quiet})); }
    void wake() { put(); }
    void check() {
      if (put_so_far.value() == 0) put();
      REQUIRE(other->wait() == 1);
      REQUIRE(drain().empty());
    }
  };
  kill_at_every_step([] { return WaitForBoth(); }, 3.4);
  kill_at_every_step<Steps::AfterItsWaking>([] { return WaitForBoth(); }, 3.4);
}

TEST_CASE("a put is killed at every step: what can be got is got by who waits for it", "[faults]") {
  struct Wait : Traffic<ByQueue<std::string>> {
    std::unique_ptr<support::Survivors> waiter;
    explicit Wait(Bias whose) : Traffic(whose, {100, 10, 0}) {}
    void begin() {
      waiter = std::make_unique<support::Survivors>(1, [this] {
        static_cast<void>(kind.get());
        return 0;
      });
    }
    void victim() { put(); }
    void check() {
      if (!waiter->end_unless([&] { return kind.queue.qsize() == 0; })) {
        REQUIRE(drain().empty());
        put();
      }
      REQUIRE(waiter->wait() == 0);
    }
  };
  for (auto const bias : {Bias::Nobodys, Bias::Victims, Bias::Anothers}) {
    kill_at_every_step([&] { return Wait(bias); });
  }
}

TEST_CASE("a queue is shut down: killed at every step, it is or is not, for everybody",
          "[faults]") {
  struct Shut : Traffic<ByQueue<std::string>> {
    bool at_once;
    mp::Queue<std::string> empty;
    std::unique_ptr<support::Survivors> waiter;
    explicit Shut(bool now) : Traffic(Bias::Nobodys, kInBlocks), at_once(now) {
      waiter = std::make_unique<support::Survivors>(1, [this] {
        try {
          empty.get();
        } catch (mp::ShutDown const&) {
          return 1;
        }
        return 0;
      });
    }
    void victim() {
      if (at_once) {
        empty.shutdown(mp::immediate);
        kind.queue.shutdown(mp::immediate);
      } else {
        empty.shutdown();
        kind.queue.shutdown();
      }
    }
    void check() {
      bool is_shut = false;
      try {
        empty.put("x");
      } catch (mp::ShutDown const&) {
        is_shut = true;
      }
      REQUIRE(waiter->wait() == (is_shut ? 1 : 0));
      std::vector<int> left;
      try {
        while (auto const got = kind.try_get()) left.push_back(number_of(*got));
      } catch (mp::ShutDown const&) {
      }
      std::vector<int> const all{10, 11};
      if (!at_once) REQUIRE(left == all);
      REQUIRE(std::equal(left.rbegin(), left.rend(), all.rbegin()));
      kind.queue.shutdown(mp::immediate);
      REQUIRE(kind.queue.qsize() == 0);
      REQUIRE_THROWS_AS(kind.queue.get(), mp::ShutDown);
    }
  };
  for (bool const at_once : {false, true}) {
    kill_at_every_step([=] { return Shut(at_once); });
  }
}

TEST_CASE("the only sender of a pipe is killed at every step: its message, then the end of file",
          "[faults]") {
  struct Last : support::Scene {
    std::size_t size;
    std::pair<mp::Connection<std::string>, mp::Connection<std::string>> ends =
        mp::Pipe<std::string>();
    mp::RawValue<int> sent{0};
    std::unique_ptr<support::Survivors> receiver;
    explicit Last(std::size_t bytes) : size(bytes) {}
    void begin() {
      receiver = std::make_unique<support::Survivors>(1, [this] {
        ends.first.close();
        int count = 0;
        try {
          for (;; ++count) {
            if (number_of(ends.second.recv()) != count) return 100;
          }
        } catch (mp::EOFError const&) {
        }
        return count;
      });
      ends.first.close();
    }
    void victim() {
      for (int i = 0; i < 2; ++i) {
        ends.first.send(message(i, static_cast<std::string*>(nullptr), size));
        sent = i + 1;
      }
      ends.first.close();
    }
    void check() {
      int const received = receiver->wait();
      REQUIRE(received >= sent.value());
      REQUIRE(received <= std::min(sent.value() + 1, 2));
    }
  };
  for (std::size_t const size : {100U, 9000U}) {
    kill_at_every_step([=] { return Last(size); }, size > 1000 ? 31 : 5);
  }
}

TEST_CASE("an item is put, and another is done with it: killed at every step", "[faults]") {
  struct Done : support::Scene {
    mp::JoinableQueue<int> queue;
    mp::RawValue<int> put_so_far{0};
    void prepare() {
      for (int i = 0; i < 40; ++i) {
        queue.put(0);
        queue.get();
        queue.task_done();
      }
    }
    void victim() {
      queue.put(1);
      put_so_far = 1;
    }
    void check() {
      int got = 0;
      while (queue.try_get()) {
        ++got;
        REQUIRE_NOTHROW(queue.task_done());
      }
      REQUIRE(got >= put_so_far.value());
      REQUIRE_THROWS_AS(queue.task_done(), std::invalid_argument);
      queue.join();
      queue.put(2);
      REQUIRE_FALSE(queue.join_for(0s));
      REQUIRE(queue.get() == 2);
      queue.task_done();
      queue.join();
    }
  };
  kill_at_every_step([] { return Done(); }, kFine);
}

TEST_CASE("an item is done with: killed at every step, join goes on", "[faults]") {
  struct Done : support::Scene {
    mp::JoinableQueue<int> queue;
    std::unique_ptr<support::Survivors> joiner;
    Done() {
      queue.put(1);
      queue.get();
      joiner = std::make_unique<support::Survivors>(1, [this] { queue.join(); });
    }
    void victim() { queue.task_done(); }
    void check() {
      bool const was_done = queue.join_for(0s);
      if (!was_done) queue.task_done();
      REQUIRE(joiner->wait() == 0);
    }
  };
  kill_at_every_step([] { return Done(); }, kFine);
}

}  // namespace kill_in_channel_test
