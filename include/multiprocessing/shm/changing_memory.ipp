// SPDX-License-Identifier: BSL-1.0
// The bodies of changing_memory.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/shm/changing_memory.hpp>
#include <multiprocessing/shm/growing_block.hpp>
#include <multiprocessing/shm/size_class.hpp>
#include <multiprocessing/shm/undo_log.hpp>

namespace multiprocessing::shm {

MULTIPROCESSING_INLINE void* ChangingMemory::take(std::uint64_t size, UndoLog& log) {
  if (size > limit()) throw std::bad_alloc();
  auto const size_class = class_of(size);
  log.make_room(kRoomOfAStep);
  auto& list = free_[size_class.index()];
  if (list != 0) {
    auto* const free = at(list);
    log.save(free, sizeof *free);
    log.note(&list);
    list = free->next;
    return free;
  }
  auto const place = frontier_;
  move_frontier(place, size_of(size_class), log);
  log.note(&last_);
  last_ = place;
  return memory_.data() + place;
}

MULTIPROCESSING_INLINE bool ChangingMemory::extend(void* piece, std::uint64_t size, UndoLog& log) {
  auto const place = place_of(piece);
  if (place != last_ || size > limit() || rounded(size) > limit() - place) return false;
  log.make_room(kRoomOfAStep);
  move_frontier(place, rounded(size), log);
  return true;
}

MULTIPROCESSING_INLINE void ChangingMemory::give_back(void* piece, std::uint64_t size,
                                                      UndoLog& log) noexcept {
  auto* const free = static_cast<Free*>(piece);
  log.save(free, sizeof *free);
  log.note(&given_back_);
  *free = {given_back_, class_of(size).index()};
  given_back_ = place_of(piece);
}

MULTIPROCESSING_INLINE void ChangingMemory::sort_given_back(UndoLog& log) {
  constexpr int kAtOnce = 64;  // few, so that the log stays short
  for (int i = 0; i < kAtOnce && given_back_ != 0; ++i) {
    log.make_room(2 * kRoomOfAStep);
    auto const place = given_back_;
    auto* const free = at(place);
    auto& list = free_[free->size_class];
    log.save(free, sizeof *free);
    log.note(&given_back_);
    log.note(&list);
    given_back_ = free->next;
    free->next = list;
    list = place;
  }
}

MULTIPROCESSING_INLINE void ChangingMemory::reset(UndoLog& log) {
  log.save(&frontier_, sizeof frontier_);
  log.save(&last_, sizeof last_);
  log.save(&given_back_, sizeof given_back_);
  log.save(free_.data(), sizeof free_);
  frontier_ = kBegin;
  last_ = 0;
  given_back_ = 0;
  free_.fill(0);
}

MULTIPROCESSING_INLINE ChangingMemory::Free* ChangingMemory::at(
    std::uint64_t place) const noexcept {
  return reinterpret_cast<Free*>(memory_.data() + place);
}

MULTIPROCESSING_INLINE std::uint64_t ChangingMemory::place_of(void const* piece) const noexcept {
  return static_cast<std::uint64_t>(static_cast<std::byte const*>(piece) - memory_.data());
}

MULTIPROCESSING_INLINE void ChangingMemory::move_frontier(std::uint64_t place, std::uint64_t size,
                                                          UndoLog& log) {
  if (size > limit() - place) throw std::bad_alloc();
  memory_.grow(place + size);
  log.note(&frontier_);
  frontier_ = place + size;
}

}  // namespace multiprocessing::shm
