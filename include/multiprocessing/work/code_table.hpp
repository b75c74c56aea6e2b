// SPDX-License-Identifier: BSL-1.0
// Functions of the owner that workers are told by a small number: a place in a module takes 64
// bytes and a search.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/wire/code_pointer.hpp>

namespace multiprocessing::work {

using CodeNumber = std::uint32_t;

/// The shared part: a CodePlace for each number. Written by the owner alone, before it publishes
/// anything that names the number; constant after that.
struct CodeTable {
  static constexpr CodeNumber kMost = 1 << 16;
  static constexpr std::uint64_t kSize = kMost * sizeof(wire::CodePlace);

  shm::Offset places = 0;

  wire::CodePlace& place(shm::Segment const& segment, CodeNumber number) const noexcept;
};

/// The owner's side. Threads: external synchronization.
class CodeWriter {
 public:
  CodeWriter(shm::Segment const& segment, CodeTable const& table) noexcept
      : segment_(segment), table_(table) {}

  struct Numbered {
    CodeNumber number;
    bool is_permanent;  ///< it lies in the program itself, which never goes
  };

  using Name = std::string();

  /// `name`: what people are told it is; by default what is known of its place.
  /// Throws: PicklingError when it lies in no module; std::bad_alloc when the table is full.
  template <class Function>
  requires std::is_function_v<Function> Numbered numbered(Function* function,
                                                          Name* name = nullptr) {
    auto const address = reinterpret_cast<std::uintptr_t>(function);
    auto known = numbers_.find(address);
    if (known != numbers_.end() && known->second.is_permanent) return known->second;
    forget_removed();
    known = numbers_.find(address);
    if (known != numbers_.end()) return known->second;
    Numbered const numbered{add(wire::place_of(function)), is_in_program(address)};
    numbers_.emplace(address, numbered);
    // What may be removed must be asked now.
    known_.push_back(numbered.is_permanent ? Known{name, address, {}}
                                           : Known{nullptr, 0, text_for(name, address)});
    return numbered;
  }
  template <class Function>
  CodeNumber number_of(Function* function) {
    return numbered(function).number;
  }

  /// How many there are. Threads: safe.
  CodeNumber count() const noexcept;
  /// The next number is that of a place which another table has under it.
  /// Throws: std::bad_alloc when the table is full.
  void copy(wire::CodePlace const& place);

  /// For people; empty when nobody has that number.
  std::string name_of(CodeNumber number) const;

 private:
  // How far ahead the table gets its pages.
  static constexpr CodeNumber kStep = 64;

  /// What lay at an address may be something else once a module has gone.
  void forget_removed();

  static std::string text_for(Name* name, std::uintptr_t address);

  static bool is_in_program(std::uintptr_t address);

  CodeNumber add(wire::CodePlace const& place);

  shm::Segment const& segment_;
  CodeTable const& table_;
  std::atomic<CodeNumber> count_{0};
  std::unordered_map<std::uintptr_t, Numbered> numbers_;
  struct Known {
    Name* name = nullptr;
    std::uintptr_t address = 0;  // 0: see the text
    std::string text = {};
  };
  std::vector<Known> known_;        // by number
  unsigned long long removed_ = 0;  // modules, when these were noted
};

/// A worker's side. Threads: external synchronization.
class CodeReader {
 public:
  CodeReader(shm::Segment const& segment, CodeTable const& table, os::ModuleTable const& modules)
      : segment_(segment), table_(table), modules_(modules) {}

  /// Throws: UnpicklingError when the module, or this build of it, is not there.
  template <class Function>
  requires std::is_function_v<Function> Function* function(CodeNumber number) {
    if (number >= found_.size()) found_.resize(number + std::size_t{1});
    auto& found = found_[number];
    if (found == 0) {
      auto* const there = wire::function_at<Function>(table_.place(segment_, number), modules_);
      found = reinterpret_cast<std::uintptr_t>(there);
    }
    return reinterpret_cast<Function*>(found);
  }

 private:
  shm::Segment const& segment_;
  CodeTable const& table_;
  os::ModuleTable const& modules_;
  std::vector<std::uintptr_t> found_;  // 0: not looked for yet
};

}  // namespace multiprocessing::work

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/work/code_table.ipp>
#endif
