// SPDX-License-Identifier: BSL-1.0
// The loaded program and shared libraries, by content: the linker's build id names a module in
// every process that loaded the same file, wherever it lies in memory there.
#pragma once

#include <link.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace multiprocessing::os {

struct Module {
  std::uintptr_t base = 0;       ///< what the dynamic linker added to the file's addresses
  std::uint64_t identity = 0;    ///< hash of the build id; of path and layout where there is none
  std::string path;              ///< empty for the program itself
  std::uint64_t code_begin = 0;  ///< offsets from base between which all its code lies
  std::uint64_t code_end = 0;

  bool has_code_at(std::uint64_t offset) const noexcept;
};

namespace module_detail {

std::uint64_t fnv1a(void const* data, std::size_t size, std::uint64_t hash) noexcept;

inline constexpr std::uint64_t kFnvBasis = 0xcbf29ce484222325U;

std::optional<std::uint64_t> build_id_in(std::uintptr_t notes, std::size_t size) noexcept;

std::uint64_t identity_of(dl_phdr_info const& info) noexcept;

bool contains(dl_phdr_info const& info, std::uintptr_t address) noexcept;

/// Calls `visit(dl_phdr_info const&)` for each loaded module until it returns true.
/// REQUIRES: the fork gate, because it takes a lock of the dynamic linker.
template <class Visit>
void for_each_loaded(Visit visit) {
  ::dl_iterate_phdr([](dl_phdr_info* info, std::size_t,
                       void* data) { return (*static_cast<Visit*>(data))(*info) ? 1 : 0; },
                    &visit);
}

Module describe(dl_phdr_info const& info);

}  // namespace module_detail

/// The module whose code or data lies at `address`.
std::optional<Module> module_at(std::uintptr_t address);

/// How many modules the dynamic linker has ever removed: as long as it is the same number, what was
/// seen at an address is there still.
unsigned long long removed_modules();

/// The modules that were loaded at one time. A forked child looks here, because its dynamic linker
/// may be locked for ever by a thread that only its parent has.
class ModuleTable {
 public:
  static ModuleTable now();

  /// Of no module: nothing that asks it gets any code. What a default one is.
  bool is_empty() const noexcept { return modules_ == nullptr; }

  /// Null when no module of this identity was loaded.
  Module const* find(std::uint64_t identity) const noexcept;

  /// Whether `holds(module)` of any.
  template <class Predicate>
  bool any(Predicate const& holds) const {
    return modules_ != nullptr && std::any_of(modules_->all.begin(), modules_->all.end(), holds);
  }

 private:
  struct Modules {
    Modules(unsigned long long add_count, unsigned long long remove_count)
        : added(add_count), removed(remove_count) {}

    // How many modules the linker had ever added and removed when these were there.
    unsigned long long added;
    unsigned long long removed;
    std::vector<Module> all;
  };

  std::shared_ptr<Modules const> modules_;  // null: none
};

}  // namespace multiprocessing::os

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/os/module.ipp>
#endif
