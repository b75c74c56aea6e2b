// SPDX-License-Identifier: BSL-1.0
// A queue of messages in shared memory, for any number of producers and consumers: what a Queue is,
// and each direction of a Pipe.
//
//   producers                                                          consumers
//   put_ = (count, place) --.                                .-- get_ = (count, place)
//                           v                                v
//   [ChunkHead| 7 | 8 | 0 ..  ] <-next- [ChunkHead| 4 | 5 | 6 |Jump] <-next- (emptied: spare_)
//                  |
//                  '-- InBlock: the message has a block of its own
//
// Each side has a lock; they meet in the frames only. A message is there once its header is, and
// taken once get_ has moved. Where a side stands follows from its chunk and its word: in a chunk
// whose first_count is the word's count, at the beginning; else at the word's place. So no step
// leaves anything half done but these, which whoever comes next completes (recovered lock):
//
// Order of the locks: get_lock_, then put_lock_.
// Failure   producer killed: its header is there and put_ has not moved: it moves. A chunk or block
//           was given to the lane, and is not in it: pending_, giving_ name it. put_weight_ may be
//           short of one message: what frames say of weight is made from it, so that evens out.
//           consumer killed: get_ has not moved: the message is still there. It has, and a chunk or
//           block is still the lane's: retired_, taking_ name it.
// Memory    chunks and blocks belong to the lane's home, the block that it lives in, and go with
// it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/channel/bells.hpp>
#include <multiprocessing/channel/frame.hpp>
#include <multiprocessing/channel/pace.hpp>
#include <multiprocessing/os/processors.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/biased_lock.hpp>
#include <multiprocessing/sync/quiet_flag.hpp>
#include <multiprocessing/sync/seats.hpp>

namespace multiprocessing::channel {

/// What a consumer is shown. In place: `bytes` of an inline message are gone once it is taken.
struct Incoming {
  Content content;
  std::span<std::byte const> bytes;
  std::shared_ptr<shm::Lease const> lease;  ///< keeps a message in a block; null: inline
};

/// Lives inside a block of the heap, its home. Threads and processes: all members safe.
class Lane {
 public:
  /// How much may be under way; 0: as much as there is memory for.
  struct Limits {
    std::uint64_t messages = 0;
    std::uint64_t chunks = 0;
    std::uint64_t weight = 0;  ///< bytes in blocks; one message is always let through
  };
  enum class [[nodiscard]] Outcome{Done, Full, Empty, Closed, Refused, TimedOut};

  /// Larger messages get a block of their own.
  static constexpr std::uint64_t kLargestInline = std::uint64_t{8} << 10;

  /// `home`: Shared::id() of the block; `index`: 0, 1 .. among the lanes in it.
  Lane(std::uint64_t home, std::uint32_t index, Limits limits)
      : home_(home),
        limits_(limits),
        put_lock_(sync::LockName::of(home, 2 * index)),
        get_lock_(sync::LockName::of(home, 2 * index + 1)) {}

  /// Appends a message of `size` bytes, at most kLargestInline, which `fill(std::byte*)` writes.
  /// REQUIRES: fill does not throw, and is short. Throws: std::bad_alloc.
  template <class Fill>
  Outcome put(sync::Seated const& me, Content content, std::uint64_t size, Fill const& fill,
              base::Deadline deadline) {
    {
      auto const inside = put_lock_.enter(me, deadline);
      if (!inside) return Outcome::TimedOut;
      if (inside.recovered()) repair_put();
      auto const at = place_for(1 + units(size));
      if (!at) return is_closed() ? Outcome::Closed : Outcome::Full;
      fill(at->data + kUnit);
      publish(*at, Header::of(Form::Inline, content, size), 1 + units(size));
    }
    if (items_.tell(me)) ring();
    return Outcome::Done;
  }

  /// Appends a message that lies in a block; which belongs to the lane from then on.
  Outcome put_block(sync::Seated const& me, Content content, std::uint64_t size,
                    Enclosed const& message, base::Deadline deadline) {
    {
      auto const inside = put_lock_.enter(me, deadline);
      if (!inside) return Outcome::TimedOut;
      if (inside.recovered()) repair_put();
      constexpr auto kFrame = 1 + units(sizeof(BlockPlace));
      if (!has_room_for_weight(size)) return is_closed() ? Outcome::Closed : Outcome::Full;
      auto const at = place_for(kFrame);
      if (!at) return is_closed() ? Outcome::Closed : Outcome::Full;
      auto const block = message.lease->id();
      BlockPlace const place{block, message.offset, put_weight_};
      std::memcpy(at->data + kUnit, &place, sizeof place);
      giving_count_ = at->progress.count();
      giving_ = block;
      arena().give(message.lease->block(), home_);
      publish(*at, Header::of(Form::InBlock, content, size), kFrame);
      put_weight_ += size;
      giving_ = 0;
    }
    if (items_.tell(me)) ring();
    return Outcome::Done;
  }

  /// Shows the oldest message to `take(Incoming const&)`, and takes it away if that returns true;
  /// not when it throws. REQUIRES: take is short.
  template <class Take>
  Outcome get(sync::Seated const& me, Take const& take, base::Deadline deadline) {
    bool makes_room = limits_.messages != 0;
    {
      auto const inside = get_lock_.enter(me, deadline);
      if (!inside) return Outcome::TimedOut;
      if (inside.recovered()) repair_get(me);
      auto at = oldest(me);
      if (!at) {
        if (!is_closed()) return Outcome::Empty;
        if (!see_producers_out(me, deadline)) return Outcome::TimedOut;
        if (at = oldest(me); !at) return Outcome::Closed;
      }
      auto const header = Header::load(at->data);
      if (header.form() == Form::Inline) {
        std::span<std::byte const> const bytes(at->data + kUnit, header.size());
        if (!take(Incoming{header.content(), bytes, nullptr})) return Outcome::Refused;
        get_.store(at->progress.past(1 + units(header.size())).word(), std::memory_order_release);
      } else if (get_block(*at, header, take)) {
        makes_room = makes_room || limits_.weight != 0;
      } else {
        return Outcome::Refused;
      }
      get_pace_.note();
    }
    if (makes_room) room_.tell(me);  // that a chunk was left is told there
    return Outcome::Done;
  }

  Pace& put_pace() noexcept { return put_pace_; }
  Pace& get_pace() noexcept { return get_pace_; }

  /// Whether there is a message. Exact while nobody else gets.
  bool has_message(sync::Seated const& me) {
    if (auto const inside = get_lock_.try_enter_by_bias(me)) return oldest(me).has_value();
    return count() > 0;
  }
  /// For who is about to sleep until has_message(): what a producer put that was killed before it
  /// could count it counts from now on.
  void settle(sync::Seated const& me) {
    {
      auto const inside = get_lock_.enter(me, base::Deadline::never());
      if (inside.recovered()) repair_get(me);
      if (count() > 0 || !oldest(me)) return;
    }
    see_producers_out(me, base::Deadline::never());
  }
  /// Whether a put for which there was no room might find some now; of `weight` bytes in a block, 0
  /// for an inline message.
  bool has_room(std::uint64_t weight) const noexcept {
    if (limits_.messages != 0 && count() >= limits_.messages) return false;
    if (limits_.chunks != 0 && chunks_under_way() + 1 >= limits_.chunks) return false;
    return weight == 0 || has_room_for_weight(weight);
  }

  /// Messages under way.
  std::uint64_t count() const noexcept {
    for (auto got = get_.load();;) {
      auto const put = put_.load();
      auto const got_since = get_.load();
      if (got_since == got) {  // so there was an instant when both were so
        return messages_between(Progress(got).count(), Progress(put).count());
      }
      got = got_since;
    }
  }
  /// Messages that have been put, in all; wraps around, see Progress.
  std::uint64_t puts() const noexcept {
    auto const got = Progress(get_.load()).count();
    auto const put = Progress(put_.load()).count();
    // Who is putting has not moved put_ when its message is got already; or was killed there.
    return messages_between(put, got) != 0 ? got : put;
  }
  std::uint64_t most_messages() const noexcept { return limits_.messages; }

  bool is_closed() const noexcept { return closed_.load(std::memory_order_acquire); }
  /// From now on nothing is put. Everybody who waits is told.
  void close() noexcept {
    closed_ = true;
    tell_all();
  }
  /// Has everybody who waits look again: who is there may have changed.
  void tell_all() noexcept {
    ++changes_;
    if (items_.tell()) ring();
    room_.tell();
  }

  /// How often tell_all() was called.
  std::uint32_t changes() const noexcept { return changes_.load(); }

  /// For who waits for a message, or for room.
  sync::QuietFlag& items() noexcept { return items_; }
  sync::QuietFlag& room() noexcept { return room_; }
  Bells& bells() noexcept { return bells_; }

 private:
  static constexpr shm::Number kNone = shm::Arena::kNobody;
  // A few hundred small messages; two of them stay in the nearest large cache.
  static constexpr std::uint64_t kChunk = std::uint64_t{64} << 10;
  // A backlog has larger ones, so that a gigabyte is a thousand blocks.
  static constexpr std::uint64_t kLargestChunk = std::uint64_t{1} << 20;
  static constexpr std::uint64_t kBacklog = 4;  // chunks, from which on they grow
  static_assert(2 * kLargestChunk / kUnit <= Progress::kMostUnits);  // sizes are rounded up
  static_assert(1 + units(kLargestInline) + 1 <= (kChunk - base::kCacheLine) / kUnit);
  // By measurement: nearer, the consumer's prefetches take them back; farther is no faster.
  static constexpr std::uint64_t kClaimedAhead = 8 * base::kCacheLine;

  struct Place {
    std::byte* data;  ///< of the header
    Progress progress;
    std::uint64_t room;  ///< of the chunk, in units
  };

  static shm::Arena& arena() noexcept { return shm::Heap::instance().arena(); }
  static ChunkHead& head_of(shm::Number chunk) noexcept {
    return *reinterpret_cast<ChunkHead*>(arena().data(chunk));
  }
  static std::byte* frame_at(shm::Number chunk, std::uint64_t unit) noexcept {
    return arena().data(chunk) + base::kCacheLine + unit * kUnit;
  }
  [[gnu::always_inline]] static Place place_in(shm::Number chunk, std::uint64_t word) noexcept {
    auto* const data = arena().data(chunk);
    auto const& head = *reinterpret_cast<ChunkHead const*>(data);
    Progress progress(word);
    if (head.first_count == progress.count()) progress = Progress(progress.count(), 0);
    return {data + base::kCacheLine + progress.unit() * kUnit, progress, head.size};
  }

  bool is_ours(std::uint64_t block) const noexcept {
    return block != 0 && arena().exists(block) && arena().owner_of(number_of(block)) == home_;
  }
  static shm::Number number_of(std::uint64_t block) noexcept { return shm::Arena::block_of(block); }

  /// Who has no descriptor left to ring with leaves it to the next.
  void ring() noexcept {
    if (!bells_.ring()) items_.rearm_bells();
  }

  std::uint64_t chunks_under_way() const noexcept {
    auto const left = get_sequence_.load();
    auto const entered = put_sequence_.load();
    return entered > left ? entered - left : 0;  // consumers may be in front, for an instant
  }
  std::uint64_t weight_under_way() const noexcept {
    auto const got = got_weight_.load();
    auto const put = put_weight_.load();
    return put > got ? put - got : 0;  // as above
  }

  bool has_room_for_weight(std::uint64_t size) const noexcept {
    auto const under_way = weight_under_way();
    return limits_.weight == 0 || under_way == 0 || under_way + size <= limits_.weight;
  }

  // What follows: REQUIRES put_lock_.

  /// Where a frame of so many units goes; nullopt: nowhere, now.
  [[gnu::always_inline]] std::optional<Place> place_for(std::uint64_t frame) {
    if (is_closed()) return std::nullopt;
    auto const word = put_.load(std::memory_order_relaxed);
    if (limits_.messages != 0) {
      auto const count = Progress(word).count();
      if (messages_between(seen_got_, count) >= limits_.messages) {
        seen_got_ = Progress(get_.load()).count();
        if (messages_between(seen_got_, count) >= limits_.messages) return std::nullopt;
      }
    }
    auto chunk = put_chunk_.load(std::memory_order_relaxed);
    if (chunk != kNone) {
      auto const place = place_in(chunk, word);
      // ... and the header behind it
      if (place.progress.unit() + frame + 1 <= place.room) return place;
      if (limits_.chunks != 0 && chunks_under_way() + 1 >= limits_.chunks) return std::nullopt;
    }
    chunk = link_chunk(chunk, word);
    return place_in(chunk, word);
  }

  [[gnu::always_inline]] void publish(Place const& at, Header header,
                                      std::uint64_t frame) noexcept {
    claim_lines_ahead(at.data + frame * kUnit, frame * kUnit);
    Header().store(at.data + frame * kUnit);
    header.store(at.data);
    put_.store(at.progress.past(frame).word(), std::memory_order_release);
    put_pace_.note();
  }

  /// The lines where the next frames will be are in the consumer's cache, as it has read what was
  /// there before: without this every put would wait until it has been told to drop them. Too far
  /// ahead for a consumer that waits for the next message to be disturbed.
  static void claim_lines_ahead(std::byte const* next, std::uint64_t bytes) noexcept {
    auto const* const begin = next + kClaimedAhead;
    for (std::uint64_t done = 0; done < std::min(bytes, kClaimedAhead); done += base::kCacheLine) {
      os::prefetch_for_writing(begin + done);
    }
  }

  shm::Number link_chunk(shm::Number last, std::uint64_t word) {
    std::uint64_t const sequence = last == kNone ? 0 : head_of(last).sequence + 1;
    auto const chunk = obtain_chunk();
    auto& head = head_of(chunk);
    head.size = (arena().size(chunk) - base::kCacheLine) / kUnit;
    head.first_count = Progress(word).count();
    head.sequence = sequence;
    head.next = kNone;
    Header().store(frame_at(chunk, 0));
    if (last == kNone) {
      first_chunk_.store(chunk, std::memory_order_release);
    } else {
      head_of(last).next = chunk;
      Header::of(Form::Jump, {}, 0).store(place_in(last, word).data);
    }
    enter_chunk(chunk);
    return chunk;
  }
  void enter_chunk(shm::Number chunk) noexcept {
    put_sequence_ = head_of(chunk).sequence;  // first: who is killed now is found in the old one
    put_chunk_ = chunk;
    pending_ = 0;
  }

  /// A chunk that is the lane's, and in no use; pending_ names it.
  shm::Number obtain_chunk() {
    auto const backlog = chunks_under_way();
    auto size = kChunk;
    while (limits_.chunks == 0 && size < kLargestChunk && backlog >= kBacklog * (size / kChunk)) {
      size *= 2;
    }
    if (auto const spare = spare_.load(); spare != 0) {
      pending_ = spare;
      spare_ = 0;  // only producers take from it, only consumers fill it
      if (arena().size(number_of(spare)) >= size) return number_of(spare);
      arena().disown(number_of(spare));
      pending_ = 0;
    }
    shm::Lease const chunk(size, shm::Content::Any);
    pending_ = chunk.id();
    arena().give(chunk.block(), home_);
    return chunk.block();
  }

  void repair_put() {
    if (put_chunk_ == kNone && first_chunk_ != kNone) enter_chunk(first_chunk_);
    if (put_chunk_ != kNone) {
      finish_publication();
      if (Header::load(place_in(put_chunk_, put_.load()).data).form() == Form::Jump) {
        enter_chunk(head_of(put_chunk_).next);
        finish_publication();
      }
    }
    if (giving_ != 0 && Progress(put_.load()).count() == giving_count_ && is_ours(giving_)) {
      arena().disown(number_of(giving_));
    }
    giving_ = 0;
    if (auto const pending = pending_.load(); pending != 0) {
      if (spare_ == pending) spare_ = 0;
      pending_ = 0;
      if (is_ours(pending) && number_of(pending) != put_chunk_) {
        arena().disown(number_of(pending));
      }
    }
  }
  /// A message whose header is there has been put.
  void finish_publication() noexcept {
    auto const at = place_in(put_chunk_, put_.load());
    auto const header = Header::load(at.data);
    if (header.form() == Form::Inline) {
      put_ = at.progress.past(1 + units(header.size())).word();
    } else if (header.form() == Form::InBlock) {
      put_ = at.progress.past(1 + units(sizeof(BlockPlace))).word();
      put_weight_ = block_place(at).weight + header.size();
    }
  }

  // What follows: REQUIRES get_lock_.

  static BlockPlace block_place(Place const& at) noexcept {
    BlockPlace place;
    std::memcpy(&place, at.data + kUnit, sizeof place);
    return place;
  }

  /// Where the oldest message is; nullopt: there is none.
  [[gnu::always_inline]] std::optional<Place> oldest(sync::Seated const& me) {
    auto chunk = get_chunk_.load(std::memory_order_relaxed);
    if (chunk == kNone) {
      chunk = first_chunk_.load(std::memory_order_acquire);
      if (chunk == kNone) return std::nullopt;
      get_chunk_ = chunk;
    }
    for (;;) {
      auto const place = place_in(chunk, get_.load(std::memory_order_relaxed));
      auto const form = Header::load(place.data).form();
      if (form == Form::Nothing) {
        // Who polls has both lines of a small message on their way at once.
        __builtin_prefetch(place.data + base::kCacheLine);
        return std::nullopt;
      }
      if (form != Form::Jump) return place;
      chunk = leave_chunk(me, chunk);
    }
  }

  /// Returns once whoever was putting has done so, or what it left when it was killed is repaired.
  /// False: the deadline has passed.
  bool see_producers_out(sync::Seated const& me, base::Deadline deadline) {
    auto const inside = put_lock_.enter(me, deadline);
    if (!inside) return false;
    if (inside.recovered()) repair_put();
    return true;
  }

  shm::Number leave_chunk(sync::Seated const& me, shm::Number old) {
    // Who has put the Jump there and not gone on to the next chunk is looked for in this one.
    if (put_chunk_ == old) see_producers_out(me, base::Deadline::never());
    shm::Number const next = head_of(old).next;
    retired_sequence_ = head_of(old).sequence;
    retired_ = arena().id(old);
    get_chunk_ = next;
    get_sequence_ = head_of(next).sequence;
    recycle(retired_);
    retired_ = 0;
    if (limits_.chunks != 0) room_.tell();
    return next;
  }
  void recycle(std::uint64_t chunk) {
    if (spare_.load() == 0 && chunks_under_way() < kBacklog) {
      spare_ = chunk;
    } else {
      arena().disown(number_of(chunk));
    }
  }

  template <class Take>
  bool get_block(Place const& at, Header header, Take const& take) {
    auto const place = block_place(at);
    auto const number = number_of(place.block);
    auto lease = std::make_shared<shm::Lease const>(shm::InUse{number});
    std::span<std::byte const> const bytes(arena().data(number) + place.offset, header.size());
    if (!take(Incoming{header.content(), bytes, std::move(lease)})) return false;
    taking_ = place.block;
    got_weight_ = place.weight + header.size();
    get_.store(at.progress.past(1 + units(sizeof place)).word(), std::memory_order_release);
    arena().disown(number);
    taking_ = 0;
    return true;
  }

  void repair_get(sync::Seated const& me) {
    if (retired_ != 0) repair_retired(me);
    if (auto const taking = taking_.load(); taking != 0) {
      auto const at = oldest(me);
      bool const is_there =
          at && Header::load(at->data).form() == Form::InBlock && block_place(*at).block == taking;
      if (!is_there && is_ours(taking)) arena().disown(number_of(taking));
      taking_ = 0;
    }
    room_.tell();  // there may be some of which the dead did not tell
  }
  void repair_retired(sync::Seated const& me) {
    // A producer may have got it since; this way none gets it now.
    auto const inside = put_lock_.enter(me, base::Deadline::never());
    if (inside.recovered()) repair_put();
    auto const retired = retired_.load();
    if (number_of(retired) != get_chunk_) {
      get_sequence_ = head_of(get_chunk_).sequence;
      bool const is_lost = is_ours(retired) && spare_ != retired &&
                           head_of(number_of(retired)).sequence == retired_sequence_;
      if (is_lost) arena().disown(number_of(retired));
    }
    retired_ = 0;
  }

  // constant after construction
  std::uint64_t const home_;
  Limits const limits_;
  // read by all, written seldom
  std::atomic<bool> closed_{false};
  std::atomic<std::uint32_t> changes_{0};
  std::atomic<shm::Number> first_chunk_{kNone};
  sync::QuietFlag items_;
  sync::QuietFlag room_;
  std::atomic<std::uint64_t> spare_{0};  ///< id of a chunk
  Bells bells_;                          ///< for items_
  // written by producers, under put_lock_
  alignas(base::kCacheLine) sync::BiasedLock put_lock_;
  alignas(base::kCacheLine) std::atomic<std::uint64_t> put_{0};  ///< Progress
  std::atomic<shm::Number> put_chunk_{kNone};
  std::atomic<std::uint64_t> put_sequence_{0};
  std::atomic<std::uint64_t> put_weight_{0};
  std::uint64_t seen_got_ = 0;  ///< messages that had been got when a producer looked last
  std::atomic<std::uint64_t> pending_{0};
  std::atomic<std::uint64_t> giving_{0};
  std::uint64_t giving_count_ = 0;
  Pace put_pace_;
  // written by consumers, under get_lock_
  alignas(base::kCacheLine) sync::BiasedLock get_lock_;
  alignas(base::kCacheLine) std::atomic<std::uint64_t> get_{0};  ///< Progress
  std::atomic<shm::Number> get_chunk_{kNone};
  std::atomic<std::uint64_t> get_sequence_{0};
  std::atomic<std::uint64_t> got_weight_{0};
  std::atomic<std::uint64_t> retired_{0};
  std::uint64_t retired_sequence_ = 0;
  std::atomic<std::uint64_t> taking_{0};
  Pace get_pace_;
};

}  // namespace multiprocessing::channel
