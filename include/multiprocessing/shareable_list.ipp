// SPDX-License-Identifier: BSL-1.0
// The bodies of shareable_list.hpp.
#pragma once

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <new>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/repr.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/robust_mutex.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/shareable_list.hpp>
#include <multiprocessing/shareable_value.hpp>
#include <multiprocessing/shared_memory.hpp>

namespace multiprocessing {
namespace shareable_list_detail {

MULTIPROCESSING_INLINE Guard::Guard(os::RobustMutex& mutex) : mutex_(mutex) {
  constexpr std::chrono::seconds kBetweenLooks{1};
  while (!try_lock(base::Deadline::after(kBetweenLooks))) {
    auto const owner = mutex_.owner();
    if (owner != 0 && os::process_of_thread(owner) == 0) {
      throw Error("ShareableList: it is damaged: who has locked it does not exist");
    }
  }
}

MULTIPROCESSING_INLINE bool Guard::try_lock(base::Deadline deadline) {
  for (;;) {
    try {
      return mutex_.lock_until(deadline).has_value();
    } catch (std::system_error const& error) {
      // No code of a list wants it twice: a thread of another pid namespace has this one's
      // number.
      if (error.code().value() != EDEADLK) throw;
      if (deadline.passed()) return false;
      ::poll(nullptr, 0, 1);
    }
  }
}

MULTIPROCESSING_INLINE std::uint64_t SlotWord::pack() const noexcept {
  return static_cast<std::uint64_t>(kind) << (kLengthBits + 1) |
         std::uint64_t{side} << kLengthBits | length;
}

MULTIPROCESSING_INLINE SlotWord SlotWord::unpack(std::uint64_t packed) noexcept {
  return {static_cast<shareable_value_detail::Kind>(packed >> (kLengthBits + 1)),
          (packed >> kLengthBits & 1) != 0, packed & ((std::uint64_t{1} << kLengthBits) - 1)};
}

}  // namespace shareable_list_detail

MULTIPROCESSING_INLINE ShareableValue ShareableList::get(std::size_t index) const {
  require_slot(index);
  shareable_list_detail::Guard const guard(header().mutex);
  return read(index);
}

MULTIPROCESSING_INLINE void ShareableList::set(std::size_t index,
                                               ShareableValue const& value) const {
  require_slot(index);
  auto& word = slots()[index].word;
  auto const room = (*rooms_)[index];
  auto const bytes = shareable_value_detail::bytes_of(value);
  if (bytes.size() > room.capacity) {
    throw std::invalid_argument("ShareableList: " + std::to_string(bytes.size()) +
                                " bytes exceed the " + std::to_string(room.capacity) +
                                " that there are at index " + std::to_string(index));
  }
  shareable_list_detail::Guard const guard(header().mutex);
  bool const side = !SlotWord::unpack(word.load()).side;
  if (!bytes.empty()) std::memcpy(place(room, side), bytes.data(), bytes.size());
  word = SlotWord{shareable_value_detail::kind_of(value), side, bytes.size()}.pack();
}

MULTIPROCESSING_INLINE std::vector<ShareableValue> ShareableList::copy() const {
  shareable_list_detail::Guard const guard(header().mutex);
  std::vector<ShareableValue> values;
  values.reserve(size());
  for (std::size_t index = 0; index < size(); ++index) values.push_back(read(index));
  return values;
}

MULTIPROCESSING_INLINE std::size_t ShareableList::count(ShareableValue const& value) const {
  auto const all = copy();
  return static_cast<std::size_t>(std::count(all.begin(), all.end(), value));
}

MULTIPROCESSING_INLINE std::size_t ShareableList::index(ShareableValue const& value) const {
  auto const all = copy();
  auto const found = std::find(all.begin(), all.end(), value);
  if (found != all.end()) return static_cast<std::size_t>(found - all.begin());
  std::ostringstream text;
  shareable_value_detail::print(text, value);
  throw std::invalid_argument("ShareableList.index: " + text.str() + " is not in the list");
}

MULTIPROCESSING_INLINE std::size_t ShareableList::capacity_for(
    ShareableValue const& value) noexcept {
  auto const size = shareable_value_detail::bytes_of(value).size();
  return size <= kUnit ? kUnit : (size + kUnit - 1) / kUnit * kUnit;
}

MULTIPROCESSING_INLINE std::size_t ShareableList::size_for(
    std::span<ShareableValue const> values) noexcept {
  auto size = sizeof(Header) + values.size() * sizeof(Slot);
  for (auto const& value : values) size += 2 * capacity_for(value);
  return size;
}

MULTIPROCESSING_INLINE void ShareableList::fill(std::span<std::byte> bytes,
                                                std::span<ShareableValue const> values) {
  new (bytes.data()) Header{Header::kMagic, values.size(), os::RobustMutex()};
  auto* slot = reinterpret_cast<Slot*>(bytes.data() + sizeof(Header));
  auto offset = sizeof(Header) + values.size() * sizeof(Slot);
  for (auto const& value : values) {
    auto const its = shareable_value_detail::bytes_of(value);
    SlotWord const word{shareable_value_detail::kind_of(value), false, its.size()};
    auto const capacity = capacity_for(value);
    new (slot++) Slot{word.pack(), offset, capacity};
    if (!its.empty()) std::memcpy(bytes.data() + offset, its.data(), its.size());
    offset += 2 * capacity;
  }
}

MULTIPROCESSING_INLINE std::shared_ptr<ShareableList::Rooms const> ShareableList::rooms_in(
    SharedMemory const& memory) {
  if (memory.fileno() < 0) throw std::logic_error("ShareableList: its memory has been closed");
  auto const no_list = [&] {
    return Error("ShareableList: what is in SharedMemory \"" + base::escape(memory.name()) +
                 "\" is no list");
  };
  auto const bytes = memory.size();
  if (bytes < sizeof(Header)) throw no_list();
  auto const& header = *reinterpret_cast<Header const*>(memory.buf().data());
  auto const size = header.size;
  if (header.magic != Header::kMagic || size > (bytes - sizeof(Header)) / sizeof(Slot) ||
      !header.mutex.looks_like(os::RobustMutex::Kind::Plain)) {
    throw no_list();
  }
  auto const* const slots = reinterpret_cast<Slot const*>(memory.buf().data() + sizeof(Header));
  auto rooms = std::make_shared<Rooms>();
  rooms->reserve(size);
  auto end = sizeof(Header) + size * sizeof(Slot);
  for (std::size_t index = 0; index < size; ++index) {
    Room const room{slots[index].offset, slots[index].capacity};
    if (room.offset != end || room.capacity > (bytes - end) / 2) throw no_list();
    end += 2 * room.capacity;
    rooms->push_back(room);
  }
  return rooms;
}

MULTIPROCESSING_INLINE ShareableList::Slot* ShareableList::slots() const noexcept {
  return reinterpret_cast<Slot*>(memory_.buf().data() + sizeof(Header));
}

MULTIPROCESSING_INLINE std::byte* ShareableList::place(Room room, bool side) const noexcept {
  return memory_.buf().data() + room.offset + (side ? room.capacity : 0);
}

MULTIPROCESSING_INLINE ShareableValue ShareableList::read(std::size_t index) const {
  auto const room = (*rooms_)[index];
  auto const word = SlotWord::unpack(slots()[index].word.load());
  if (word.length > room.capacity) throw Error("ShareableList: a slot is damaged");
  return shareable_value_detail::value_of(word.kind, {place(room, word.side), word.length});
}

MULTIPROCESSING_INLINE void ShareableList::require_slot(std::size_t index) const {
  if (index < size()) return;
  throw std::out_of_range("ShareableList: the index " + std::to_string(index) +
                          " is not below the size " + std::to_string(size()));
}

MULTIPROCESSING_INLINE ShareableList::Item ShareableList::at(std::size_t index) const {
  require_slot(index);
  return {*this, index};
}

}  // namespace multiprocessing
