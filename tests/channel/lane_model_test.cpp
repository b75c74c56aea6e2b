// SPDX-License-Identifier: BSL-1.0
// Every order of the atomic steps of two producers and two consumers at one lane, and a crash at
// each step: the code of lane.hpp itself, run by fibers that change places where one process could
// see what another has done.
//
// What is modelled    std::atomic and std::atomic_ref: a step each, in one total order (so this
//                     covers orders of steps, not weak memory); the two locks, which tell who died
//                     inside; the arena: who holds a block, what belongs to what, that a block
//                     without either is free, and is given to the next one who wants one. Nobody
//                     may touch a free block.
// What is not         BiasedLock, QuietFlag, Pace, Arena, Heap: they have tests of their own.
//                     Waiting.
//
// A state that was met before is not followed again. It is what lies in the memory of the lane and
// its blocks, and what each fiber has seen so far, which is all that its next steps depend on.
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#if __has_include(<multiprocessing/channel/bells.hpp>)
#include <multiprocessing/channel/bells.hpp>
#endif
#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/channel/pace.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/biased_lock.hpp>
#include <multiprocessing/sync/quiet_flag.hpp>
#include <multiprocessing/sync/seats.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace model {

constexpr unsigned kFibers = 4;      // may crash
constexpr unsigned kBefore = 4;      // fills the lane
constexpr unsigned kAfterwards = 5;  // looks at what is left
constexpr unsigned kAllFibers = 6;

using Word = std::uint64_t;

constexpr Word mix(Word hash, Word value) {
  hash ^= value + 0x9e3779b97f4a7c15 + (hash << 6) + (hash >> 2);
  hash *= 0xff51afd7ed558ccd;
  return hash ^ (hash >> 33);
}

/// A block of the arena.
struct Block {
  static constexpr std::size_t kRoom = std::size_t{64} << 10;

  bool is_used = false;
  std::uint32_t uses = 0;
  Word owner = 0;
  unsigned holders = 0;  // a bit each fiber
  std::size_t size = 0;
  std::unique_ptr<std::byte[]> memory;
  std::map<std::size_t, Word> headers;  // of frames: by their place

  bool contains(void const* where) const {
    auto const* const byte = static_cast<std::byte const*>(where);
    return memory && byte >= memory.get() && byte < memory.get() + kRoom;
  }
};

struct Fiber {
  enum class State { New, Running, Over, Crashed };

  State state = State::New;
  Word seen = 0;                // all that it has read
  void const* waits = nullptr;  // for this lock
  std::function<void()> body;
  std::jmp_buf place;  // where it goes on
  std::unique_ptr<std::byte[]> stack;
};

/// One run: who takes the next step is said from outside.
class World {
 public:
  static constexpr Word kHome = Word{1} << 32;  // the id of block 0
  static constexpr std::size_t kStack = std::size_t{128} << 10;
  static constexpr int kMostSteps = 20'000;

  void reset() {
    for (auto& block : blocks_) {
      block.is_used = false;
      block.uses = 0;
      block.owner = 0;
      block.holders = 0;
      block.headers.clear();
    }
    blocks_[0].is_used = true;
    blocks_[0].uses = 1;
    for (auto& fiber : fibers_) {
      fiber.state = Fiber::State::New;
      fiber.seen = 0;
      fiber.waits = nullptr;
    }
    pool_used_ = 0;
    steps_ = 0;
    wrong_.clear();
  }

  // From outside.

  Fiber& fiber(unsigned who) { return fibers_[who]; }

  /// Until its next step, or its end.
  void run(unsigned who) {
    current_ = who;
    if (::_setjmp(outside_) != 0) return;
    auto& fiber = fibers_[who];
    if (fiber.state == Fiber::State::Running) std::longjmp(fiber.place, 1);
    fiber.state = Fiber::State::Running;
    if (!fiber.stack) fiber.stack = std::make_unique<std::byte[]>(kStack);
    ucontext_t context;
    ::getcontext(&context);
    context.uc_stack.ss_sp = fiber.stack.get();
    context.uc_stack.ss_size = kStack;
    context.uc_link = nullptr;
    ::makecontext(&context, &World::enter, 0);
    ::setcontext(&context);
  }
  void run_to_the_end(unsigned who) {
    while (fibers_[who].state < Fiber::State::Over && is_right()) run(who);
  }
  bool can_run(unsigned who) const {
    auto const& fiber = fibers_[who];
    return fiber.state < Fiber::State::Over && (fiber.waits == nullptr || is_free(fiber.waits));
  }
  /// What it held is the arena's, at once.
  void crash(unsigned who) {
    fibers_[who].state = Fiber::State::Crashed;
    for (auto& block : blocks_) {
      block.holders &= ~(1U << who);
      free_if_unkept(block);
    }
  }

  bool is_right() const { return wrong_.empty(); }
  std::string const& wrong() const { return wrong_; }
  Word hash() const {
    Word hash = 0;
    for (auto const& block : blocks_) {
      hash = mix(hash, block.uses);
      if (!block.is_used) continue;
      hash = mix(mix(hash, block.owner), block.holders);
      if (block.headers.empty()) continue;
      hash = mix_bytes(hash, block.memory.get(), 32);  // the head of a chunk
      for (auto const& [place, header] : block.headers) {
        hash = mix(mix(hash, place), header);
        constexpr Word kInBlock = 2;
        if ((header & 7) == kInBlock) hash = mix_bytes(hash, block.memory.get() + place + 8, 24);
      }
    }
    for (unsigned who = 0; who < kFibers; ++who) {
      hash = mix(hash, static_cast<Word>(fibers_[who].state));
      if (fibers_[who].state != Fiber::State::Crashed) hash = mix(hash, fibers_[who].seen);
    }
    return hash;
  }
  static Word mix_bytes(Word hash, void const* bytes, std::size_t size) {
    for (std::size_t i = 0; i + 8 <= size; i += 8) {
      Word word;
      std::memcpy(&word, static_cast<std::byte const*>(bytes) + i, 8);
      hash = mix(hash, word);
    }
    return hash;
  }
  /// Blocks beside the lane's own.
  std::size_t blocks_in_use() const {
    return static_cast<std::size_t>(
        std::count_if(blocks_.begin() + 1, blocks_.end(), [](auto& b) { return b.is_used; }));
  }

  // From fibers.

  unsigned current() const { return current_; }
  /// Others may come before what the calling fiber does next.
  void step() {
    if (++steps_ > kMostSteps) fail("this never ends");
    if (!is_alone()) yield();
    see(0);  // a step further, whatever it does
  }
  void see(Word value) { fibers_[current_].seen = mix(fibers_[current_].seen, value); }
  void wait_for(void const* lock) {
    fibers_[current_].waits = lock;
    if (!is_alone() || !is_free(lock)) yield();
    fibers_[current_].waits = nullptr;
    see(0);
  }
  [[noreturn]] void fail(char const* what) {
    wrong_ = what;
    for (;;) yield();
  }
  /// What is about to be looked at, or written.
  void touch(void const* where) {
    for (auto const& block : blocks_) {
      if (block.contains(where) && !block.is_used) fail("a block is touched that is free");
    }
  }
  void note_header(void const* where, Word header) {
    for (auto& block : blocks_) {
      if (!block.contains(where)) continue;
      auto const place =
          static_cast<std::size_t>(static_cast<std::byte const*>(where) - block.memory.get());
      block.headers[place] = header;
    }
  }

  Block& block(std::uint32_t number) {
    if (number >= blocks_.size()) fail("there is no such block");
    return blocks_[number];
  }
  Word id(std::uint32_t number) const { return Word{blocks_[number].uses} << 32 | number; }
  bool exists(Word id_of_it) {
    auto const number = static_cast<std::uint32_t>(id_of_it);
    return number < blocks_.size() && blocks_[number].is_used && id(number) == id_of_it;
  }
  std::uint32_t allocate(std::size_t size) {
    for (std::uint32_t number = 1; number < blocks_.size(); ++number) {
      auto& block = blocks_[number];
      if (block.is_used) continue;
      if (!block.memory) block.memory = std::make_unique<std::byte[]>(Block::kRoom);
      block.is_used = true;
      ++block.uses;
      block.owner = 0;
      block.holders = 1U << current_;
      block.size = size;
      return number;
    }
    fail("blocks are lost");
  }
  void free_if_unkept(Block& block) {
    if (!block.is_used || &block == &blocks_[0]) return;
    if (block.holders != 0 || (block.owner != 0 && exists(block.owner))) return;
    block.is_used = false;
    block.headers.clear();
    // As somebody would find it who looks in spite of that.
    std::memset(block.memory.get(), 0xdd, 128);
  }

  void* allocate_here(std::size_t size) {
    auto const at = pool_used_;
    pool_used_ += (size + 15) / 16 * 16;
    if (pool_used_ > sizeof pool_) std::abort();
    return pool_ + at;
  }

  std::function<bool(void const*)> is_free;

 private:
  static void enter();
  void yield() {
    if (::_setjmp(fibers_[current_].place) == 0) std::longjmp(outside_, 1);
  }
  bool is_alone() const { return current_ >= kFibers; }

  std::array<Block, 12> blocks_;
  std::array<Fiber, kAllFibers> fibers_;
  unsigned current_ = 0;
  std::jmp_buf outside_;
  int steps_ = 0;
  std::string wrong_;
  // So that what the crashed leave on their stacks is no leak.
  alignas(16) std::byte pool_[1 << 14];
  std::size_t pool_used_ = 0;
};

World& world() {
  static World world;
  return world;
}
void World::enter() {
  auto& self = world();
  self.fibers_[self.current_].body();
  self.fibers_[self.current_].state = Fiber::State::Over;
  for (;;) self.yield();
}

template <class T>
struct PoolAllocator {
  using value_type = T;
  PoolAllocator() = default;
  template <class U>
  PoolAllocator(PoolAllocator<U> const&) {}
  T* allocate(std::size_t count) {
    return static_cast<T*>(world().allocate_here(count * sizeof(T)));
  }
  void deallocate(T*, std::size_t) {}
  friend bool operator==(PoolAllocator const&, PoolAllocator const&) { return true; }
};

}  // namespace model

// What lane.hpp finds under the names that it uses. It is compiled once more in this namespace.
namespace multiprocessing::modelled_channel {

namespace std {
using namespace ::std;

template <class T>
class atomic {
 public:
  atomic() = default;
  constexpr atomic(T value) : value_(value) {}

  T load(memory_order order = memory_order_seq_cst) const noexcept {
    // What is loaded relaxed is written under the lock that the caller has.
    if (order != memory_order_relaxed) model::world().step();
    model::world().touch(this);
    model::world().see(static_cast<model::Word>(value_));
    return value_;
  }
  void store(T value, memory_order = memory_order_seq_cst) noexcept {
    model::world().step();
    model::world().touch(this);
    value_ = value;
  }
  T exchange(T value) noexcept {
    T const old = load();
    value_ = value;
    return old;
  }
  operator T() const noexcept { return load(); }
  T operator=(T value) noexcept {
    store(value);
    return value;
  }
  T operator+=(T value) noexcept {
    load();
    return value_ = static_cast<T>(value_ + value);
  }
  T operator++() noexcept { return *this += 1; }

 private:
  T value_;
};

template <class T>
class atomic_ref {
 public:
  static constexpr bool is_always_lock_free = true;

  explicit atomic_ref(T& object) : object_(object) {}
  T load(memory_order) const noexcept {
    model::world().step();
    model::world().touch(&object_);
    model::world().see(object_);
    return object_;
  }
  void store(T value, memory_order) const noexcept {
    model::world().step();
    model::world().touch(&object_);
    object_ = value;
    model::world().note_header(&object_, value);
  }

 private:
  T& object_;
};

template <class T, class... Arguments>
auto make_shared(Arguments&&... arguments) {
  return ::std::allocate_shared<T>(model::PoolAllocator<remove_const_t<T>>(),
                                   ::std::forward<Arguments>(arguments)...);
}
}  // namespace std

namespace shm {
using Number = ::std::uint32_t;
using ::multiprocessing::shm::Content;
struct InUse {
  Number block;
};

struct Arena {
  static constexpr Number kNobody = ::multiprocessing::shm::Arena::kNobody;

  static constexpr Number block_of(model::Word id) noexcept { return static_cast<Number>(id); }
  ::std::byte* data(Number block) const noexcept {
    auto& found = model::world().block(block);
    if (!found.is_used) model::world().fail("memory of a free block is asked for");
    return found.memory.get();
  }
  ::std::uint64_t size(Number block) const noexcept { return model::world().block(block).size; }
  model::Word id(Number block) const noexcept { return model::world().id(block); }
  bool exists(model::Word id_of_it) const noexcept {
    return looked(model::world().exists(id_of_it));
  }
  model::Word owner_of(Number block) const noexcept {
    auto const owner = model::world().block(block).owner;
    return looked(model::world().exists(owner) ? owner : 0);
  }
  void give(Number block, model::Word owner) const noexcept {
    model::world().step();
    model::world().block(block).owner = owner;
  }
  void disown(Number number) const noexcept {
    model::world().step();
    auto& block = model::world().block(number);
    if (!block.is_used) model::world().fail("a free block is freed");
    block.owner = 0;
    model::world().step();
    model::world().free_if_unkept(block);
  }

 private:
  template <class T>
  static T looked(T found) {
    model::world().step();
    model::world().see(found);
    return found;
  }
};

struct Heap {
  static Heap& instance() {
    static Heap heap;
    return heap;
  }
  Arena& arena() { return arena_; }

 private:
  Arena arena_;
};

class Lease {
 public:
  explicit Lease(::std::uint64_t size, Content = Content::Zeros) {
    model::world().step();
    block_ = model::world().allocate(size);
    model::world().see(block_);
  }
  explicit Lease(InUse other) : block_(other.block) {
    model::world().step();
    auto& block = model::world().block(block_);
    if (!block.is_used) model::world().fail("a free block is held");
    block.holders |= 1U << model::world().current();
  }
  Lease(Lease const&) = delete;
  Lease& operator=(Lease const&) = delete;
  ~Lease() {
    model::world().step();
    auto& block = model::world().block(block_);
    block.holders &= ~(1U << model::world().current());
    model::world().free_if_unkept(block);
  }
  Number block() const { return block_; }
  model::Word id() const { return model::world().id(block_); }
  ::std::byte* data() const { return model::world().block(block_).memory.get(); }

 private:
  Number block_ = 0;
};
}  // namespace shm

namespace sync {
struct Seated {};
struct LockName {
  static LockName of(::std::uint64_t, ::std::uint32_t) { return {}; }
};
struct QuietFlag {
  bool tell(Seated const&) noexcept { return false; }
  bool tell() noexcept { return false; }
  void rearm_bells() noexcept {}
};

class BiasedLock {
 public:
  class [[nodiscard]] Guard {
   public:
    Guard(Guard const&) = delete;
    Guard& operator=(Guard const&) = delete;
    ~Guard() {
      if (lock_ == nullptr) return;
      model::world().step();
      lock_->holder_ = kNobody;
    }
    explicit operator bool() const { return lock_ != nullptr; }
    bool recovered() const { return recovered_; }

   private:
    friend class BiasedLock;
    Guard(BiasedLock* lock, bool recovered) : lock_(lock), recovered_(recovered) {}
    BiasedLock* lock_;
    bool recovered_;
  };

  explicit BiasedLock(LockName) {}
  Guard enter(Seated const&, base::Deadline) {
    model::world().wait_for(this);
    bool const recovered = holder_ != kNobody;
    holder_ = model::world().current();
    model::world().see(recovered);
    return Guard(this, recovered);
  }
  Guard try_enter_by_bias(Seated const&) { return Guard(nullptr, false); }

  bool is_free() const {
    return holder_ == kNobody ||
           model::world().fiber(holder_).state == model::Fiber::State::Crashed;
  }

 private:
  static constexpr unsigned kNobody = ~0U;
  unsigned holder_ = kNobody;
};
}  // namespace sync

struct Bells {
  bool ring() noexcept { return true; }
};
struct Pace {
  void note() noexcept {}
};

}  // namespace multiprocessing::modelled_channel

#define channel modelled_channel
#include <multiprocessing/channel/lane.hpp>
#undef channel

namespace {

using multiprocessing::modelled_channel::Enclosed;
using multiprocessing::modelled_channel::Incoming;
using multiprocessing::modelled_channel::Lane;
namespace modelled = multiprocessing::modelled_channel;
using model::Fiber;
using model::kAfterwards;
using model::kBefore;
using model::kFibers;
using model::Word;
using model::world;
using multiprocessing::base::Deadline;
using Outcome = Lane::Outcome;

// Messages bear a number, in their bytes and in their size; eight fill a chunk.
constexpr int kMessages = 64;
constexpr std::uint64_t kSmallest = 7990;

/// What a fiber does.
struct Task {
  enum class Kind { Nothing, Put, PutInBlock, Get };
  Kind kind = Kind::Nothing;
  int times = 1;
};

struct Setting {
  char const* name;
  std::array<Task, kFibers> tasks;
  int put_before;
  int got_before;
  int crashes;
  Lane::Limits limits = {};
};

class Run {
 public:
  explicit Run(Setting const& setting) : setting_(setting) {}

  void begin() {
    std::memset(room_, 0, sizeof room_);
    world().reset();
    world().is_free = [](void const* lock) {
      return static_cast<modelled::sync::BiasedLock const*>(lock)->is_free();
    };
    lane_ = new (room_) Lane(model::World::kHome, 0, setting_.limits);
    was_put_.fill(false);
    for (auto& each : got_) each.clear();
    for (unsigned who = 0; who < kFibers; ++who) {
      world().fiber(who).body = [this, who] { work(who); };
    }
    world().fiber(kBefore).body = [this] {
      for (int i = 0; i < setting_.put_before; ++i) put(i, false);
      for (int i = 0; i < setting_.got_before; ++i) get(kBefore);
    };
    world().run_to_the_end(kBefore);
    crashes_ = 0;
  }

  void take(unsigned choice) {
    if (choice < kFibers) {
      world().run(choice);
    } else {
      world().crash(choice - kFibers);
      ++crashes_;
    }
  }
  /// Fibers, and kFibers + fiber for its crash.
  std::vector<unsigned> choices() const {
    std::vector<unsigned> result;
    for (unsigned who = 0; who < kFibers; ++who) {
      if (world().can_run(who)) result.push_back(who);
    }
    if (result.empty() || crashes_ == setting_.crashes) return result;
    for (unsigned who = 0; who < kFibers; ++who) {
      // Who has done nothing yet, or waits to begin, may as well never come.
      auto const& fiber = world().fiber(who);
      bool const is_inside = fiber.state == Fiber::State::Running && fiber.waits == nullptr;
      if (is_inside) result.push_back(kFibers + who);
    }
    return result;
  }
  Word hash() const {
    auto hash = model::World::mix_bytes(world().hash(), room_, sizeof room_);
    for (bool const was_put : was_put_) hash = model::mix(hash, was_put ? 1 : 0);
    for (auto const& each : got_) {
      for (int const number : each) hash = model::mix(hash, static_cast<Word>(number));
      hash = model::mix(hash, 99);
    }
    return model::mix(hash, static_cast<Word>(crashes_));
  }

  /// Nobody can take a step any more. What is wrong; empty: nothing.
  std::string check() {
    for (unsigned who = 0; who < kFibers; ++who) {
      if (world().fiber(who).state < Fiber::State::Over) return "somebody waits for ever";
    }
    world().fiber(kAfterwards).body = [this] {
      while (get(kAfterwards)) {
      }
      // Through two chunks and back.
      for (int i = 0; i < 12 && !has_little_room(); ++i) {
        int const number = kMessages - 12 + i;
        if (!put(number, i % 5 == 0) || !get(kAfterwards)) world().fail("the lane is stuck");
        if (got_[kAfterwards].back() != number) world().fail("the lane is out of order");
      }
      if (get(kAfterwards)) world().fail("something is left");
    };
    world().run_to_the_end(kAfterwards);
    if (!world().is_right()) return world().wrong();
    // A chunk, and one that is kept for the next time.
    if (world().blocks_in_use() > 2) return "a block is left that nobody needs";
    return check_messages();
  }

 private:
  static constexpr int number_of(unsigned who, int i) { return 16 + 8 * static_cast<int>(who) + i; }
  bool has_little_room() const { return setting_.limits.messages == 1; }

  void work(unsigned who) {
    auto const& task = setting_.tasks[who];
    for (int i = 0; i < task.times; ++i) {
      switch (task.kind) {
        case Task::Kind::Put:
        case Task::Kind::PutInBlock:
          put(number_of(who, i), task.kind == Task::Kind::PutInBlock);
          break;
        case Task::Kind::Get:
          get(who);
          break;
        default:
          break;
      }
    }
  }

  bool put(int number, bool in_block) {
    auto const size = kSmallest + static_cast<std::uint64_t>(number);
    auto const write = [&](std::byte* to) { std::memcpy(to, &number, sizeof number); };
    auto outcome = Outcome::Full;
    if (in_block) {
      Enclosed const message{
          modelled::std::make_shared<modelled::shm::Lease const>(size, modelled::shm::Content::Any),
          0};
      write(message.lease->data());
      outcome = lane_->put_block({}, {}, size, message, Deadline::never());
    } else {
      outcome = lane_->put({}, {}, size, write, Deadline::never());
    }
    if (outcome == Outcome::Done) was_put_[static_cast<std::size_t>(number)] = true;
    return outcome == Outcome::Done;
  }
  bool get(unsigned who) {
    int number = -1;
    auto const take = [&](Incoming const& incoming) {
      std::memcpy(&number, incoming.bytes.data(), sizeof number);
      if (incoming.bytes.size() != kSmallest + static_cast<std::uint64_t>(number)) {
        world().fail("a message is torn");
      }
      return true;
    };
    if (lane_->get({}, take, Deadline::never()) != Outcome::Done) return false;
    got_[who].push_back(number);
    return true;
  }

  std::string check_messages() const {
    std::array<int, kMessages> count{};
    for (auto const& each : got_) {
      std::array<int, kFibers + 1> last;
      last.fill(-1);
      for (int const number : each) {
        ++count[static_cast<std::size_t>(number)];
        if (number >= kMessages - 12) continue;
        auto const producer = number < 16 ? kFibers : static_cast<unsigned>(number - 16) / 8;
        if (number <= last[producer]) return "messages of one producer are out of order";
        last[producer] = number;
      }
    }
    int missing = 0;
    for (std::size_t number = 0; number < kMessages; ++number) {
      if (count[number] > 1) return "a message was got twice";
      if (was_put_[number] && count[number] == 0) ++missing;
    }
    int dead_consumers = 0;
    for (unsigned who = 0; who < kFibers; ++who) {
      bool const is_consumer = setting_.tasks[who].kind == Task::Kind::Get;
      if (is_consumer && world().fiber(who).state == Fiber::State::Crashed) ++dead_consumers;
    }
    if (missing > dead_consumers) return "a message is lost";
    return {};
  }

  Setting const& setting_;
  alignas(64) std::byte room_[sizeof(Lane)];
  Lane* lane_ = nullptr;
  std::array<bool, kMessages> was_put_{};
  std::array<std::vector<int>, model::kAllFibers> got_;
  int crashes_ = 0;
};

struct Result {
  std::size_t states = 0;
  std::size_t ends = 0;
  std::string wrong;  ///< what, and by which choices it came to that
  bool is_complete = true;
};

std::string describe(std::string const& what, std::vector<unsigned char> const& path) {
  std::string text = what + ", after";
  for (unsigned const choice : path) {
    text += choice < kFibers ? ' ' + std::to_string(choice)
                             : " crash of " + std::to_string(choice - kFibers);
  }
  return text;
}

/// Follows every path, but for states that were met before.
Result explore(Setting const& setting, std::size_t most_states) {
  using Path = std::vector<unsigned char>;
  Run run(setting);
  Result result;
  std::unordered_set<Word> met;
  std::vector<Path> to_follow{{}};
  while (!to_follow.empty() && result.wrong.empty()) {
    auto path = std::move(to_follow.back());
    to_follow.pop_back();
    run.begin();
    for (unsigned const choice : path) run.take(choice);
    for (;;) {
      if (!world().is_right()) {
        result.wrong = describe(world().wrong(), path);
        break;
      }
      if (!met.insert(run.hash()).second) break;
      if (met.size() > most_states) {
        result.is_complete = false;
        to_follow.clear();
        break;
      }
      auto const choices = run.choices();
      if (choices.empty()) {
        ++result.ends;
        if (auto const wrong = run.check(); !wrong.empty()) result.wrong = describe(wrong, path);
        break;
      }
      for (std::size_t i = 1; i < choices.size(); ++i) {
        to_follow.push_back(path);
        to_follow.back().push_back(static_cast<unsigned char>(choices[i]));
      }
      path.push_back(static_cast<unsigned char>(choices[0]));
      run.take(choices[0]);
    }
  }
  result.states = met.size();
  return result;
}

constexpr Task kPut{Task::Kind::Put, 1};
constexpr Task kPutTwo{Task::Kind::Put, 2};
constexpr Task kPutBlock{Task::Kind::PutInBlock, 1};
constexpr Task kGet{Task::Kind::Get, 1};
constexpr Task kGetTwo{Task::Kind::Get, 2};
constexpr Task kNothing{};

void check(Setting const& setting) {
  auto const most = static_cast<std::size_t>(
      support::setting("MULTIPROCESSING_TEST_STATES", support::kSanitized ? 20'000 : 3'000'000));
  auto const result = explore(setting, most);
  INFO(setting.name << ": " << result.states << " states, " << result.ends << " ends"
                    << (result.is_complete ? "" : ", and more that were not looked at"));
  CHECK(result.wrong == "");
  CHECK(result.ends > 0);
}

}  // namespace

TEST_CASE("in every order of steps, with a crash at each, no message is lost, doubled or torn",
          "[lane][model]") {
  if (support::kSanitized) return;  // which do not bear stacks that are changed by hand
  SECTION("within a chunk") { check({"two and two", {kPut, kPut, kGet, kGet}, 2, 1, 1}); }
  SECTION("the first chunk") { check({"two and two", {kPut, kPut, kGet, kGet}, 0, 0, 1}); }
  SECTION("into the next chunk") { check({"two and two", {kPut, kPut, kGet, kGet}, 7, 7, 1}); }
  SECTION("into a chunk that was used before") {
    check({"two and two", {kPut, kPut, kGet, kGet}, 16, 15, 1});
  }
  SECTION("messages in blocks") {
    check({"two and two", {kPutBlock, kPut, kGet, kGet}, 0, 0, 1});
    check({"one and two", {kPutBlock, kNothing, kGet, kGet}, 7, 7, 1});
  }
  SECTION("two crashes") {
    check({"one and one", {kPutTwo, kNothing, kGetTwo, kNothing}, 7, 7, 2});
    check({"one and one", {kPutTwo, kNothing, kGetTwo, kNothing}, 16, 15, 2});
    check({"one and one", {kPutBlock, kNothing, kGetTwo, kNothing}, 1, 0, 2});
  }
  SECTION("a bounded lane") {
    check({"two and two", {kPut, kPut, kGet, kGet}, 1, 0, 1, {.messages = 1}});
    check({"two and two", {kPut, kPut, kGet, kGet}, 8, 0, 1, {.messages = 8}});
    check({"two and two", {kPutBlock, kPut, kGet, kGet}, 7, 6, 1, {.weight = 1}});
  }
}
