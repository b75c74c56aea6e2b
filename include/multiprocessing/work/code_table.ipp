// SPDX-License-Identifier: BSL-1.0
// The bodies of code_table.hpp.
#pragma once

#include <atomic>
#include <cstdint>
#include <new>
#include <string>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/code_name.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/wire/code_pointer.hpp>
#include <multiprocessing/work/code_table.hpp>

namespace multiprocessing::work {

MULTIPROCESSING_INLINE wire::CodePlace& CodeTable::place(shm::Segment const& segment,
                                                         CodeNumber number) const noexcept {
  return segment.at<wire::CodePlace>(places)[number];
}

MULTIPROCESSING_INLINE CodeNumber CodeWriter::count() const noexcept {
  return count_.load(std::memory_order_acquire);  // pairs with the store in add()
}

MULTIPROCESSING_INLINE void CodeWriter::copy(wire::CodePlace const& place) {
  add(place);
  known_.emplace_back();
}

MULTIPROCESSING_INLINE std::string CodeWriter::name_of(CodeNumber number) const {
  if (number >= known_.size()) return {};
  auto const& known = known_[number];
  return known.address == 0 ? known.text : text_for(known.name, known.address);
}

MULTIPROCESSING_INLINE void CodeWriter::forget_removed() {
  auto const removed = os::removed_modules();
  if (removed == removed_) return;
  std::erase_if(numbers_, [](auto const& known) { return !known.second.is_permanent; });
  removed_ = removed;
}

MULTIPROCESSING_INLINE std::string CodeWriter::text_for(Name* name, std::uintptr_t address) {
  return name != nullptr ? name() : os::linked_name(address);
}

MULTIPROCESSING_INLINE bool CodeWriter::is_in_program(std::uintptr_t address) {
  auto const module = os::module_at(address);
  return module && module->path.empty();
}

MULTIPROCESSING_INLINE CodeNumber CodeWriter::add(wire::CodePlace const& place) {
  auto const number = count();
  if (number == CodeTable::kMost) throw std::bad_alloc();
  if (number % kStep == 0) {
    constexpr auto kSize = sizeof(wire::CodePlace);
    segment_.commit({table_.places + number * kSize, kStep * kSize});
  }
  new (&table_.place(segment_, number)) wire::CodePlace(place);
  count_.store(number + 1, std::memory_order_release);  // pairs with count()
  return number;
}

}  // namespace multiprocessing::work
