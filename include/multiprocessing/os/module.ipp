// SPDX-License-Identifier: BSL-1.0
// The bodies of module.hpp.
#pragma once

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/os/module.hpp>

namespace multiprocessing::os {

MULTIPROCESSING_INLINE bool Module::has_code_at(std::uint64_t offset) const noexcept {
  return offset >= code_begin && offset < code_end;
}
namespace module_detail {

MULTIPROCESSING_INLINE std::uint64_t fnv1a(void const* data, std::size_t size,
                                           std::uint64_t hash) noexcept {
  auto const* const bytes = static_cast<unsigned char const*>(data);
  for (std::size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3U;
  return hash;
}

MULTIPROCESSING_INLINE std::optional<std::uint64_t> build_id_in(std::uintptr_t notes,
                                                                std::size_t size) noexcept {
  auto const align4 = [](std::size_t n) { return (n + 3) & ~std::size_t{3}; };
  while (size >= sizeof(ElfW(Nhdr))) {
    auto const* const note = reinterpret_cast<ElfW(Nhdr) const*>(notes);
    auto const length = sizeof *note + align4(note->n_namesz) + align4(note->n_descsz);
    if (length > size) break;
    auto const* const name = reinterpret_cast<char const*>(note + 1);
    if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
        std::memcmp(name, "GNU", 4) == 0) {
      return fnv1a(name + 4, note->n_descsz, kFnvBasis);
    }
    notes += length;
    size -= length;
  }
  return std::nullopt;
}

MULTIPROCESSING_INLINE std::uint64_t identity_of(dl_phdr_info const& info) noexcept {
  auto fallback = fnv1a(info.dlpi_name, std::strlen(info.dlpi_name), kFnvBasis);
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    auto const& header = info.dlpi_phdr[i];
    if (header.p_type == PT_NOTE) {
      auto const id = build_id_in(info.dlpi_addr + header.p_vaddr, header.p_memsz);
      if (id) return *id;
    }
    if (header.p_type == PT_LOAD) fallback = fnv1a(&header, sizeof header, fallback);
  }
  return fallback;
}

MULTIPROCESSING_INLINE bool contains(dl_phdr_info const& info, std::uintptr_t address) noexcept {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    auto const& header = info.dlpi_phdr[i];
    if (header.p_type != PT_LOAD) continue;
    auto const begin = info.dlpi_addr + header.p_vaddr;
    if (address >= begin && address - begin < header.p_memsz) return true;
  }
  return false;
}

MULTIPROCESSING_INLINE Module describe(dl_phdr_info const& info) {
  Module module{info.dlpi_addr, identity_of(info), info.dlpi_name};
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    auto const& header = info.dlpi_phdr[i];
    if (header.p_type != PT_LOAD || (header.p_flags & PF_X) == 0) continue;
    if (module.code_end == 0) module.code_begin = header.p_vaddr;
    module.code_end = header.p_vaddr + header.p_memsz;
  }
  return module;
}

}  // namespace module_detail

MULTIPROCESSING_INLINE std::optional<Module> module_at(std::uintptr_t address) {
  ForkGateGuard const gate;
  std::optional<Module> found;
  module_detail::for_each_loaded([&](dl_phdr_info const& info) {
    if (!module_detail::contains(info, address)) return false;
    found = module_detail::describe(info);
    return true;
  });
  return found;
}

MULTIPROCESSING_INLINE unsigned long long removed_modules() {
  ForkGateGuard const gate;
  unsigned long long count = 0;
  module_detail::for_each_loaded([&](dl_phdr_info const& info) {
    count = info.dlpi_subs;
    return true;
  });
  return count;
}

MULTIPROCESSING_INLINE ModuleTable ModuleTable::now() {
  ForkGateGuard const gate;
  // Stays until the linker counts others: to look at the modules takes a page of each of them,
  // which every child of a fork server would have to have mapped first.
  static auto* const latest = new ModuleTable;  // guarded by the gate; never freed
  std::shared_ptr<Modules> fresh;
  module_detail::for_each_loaded([&](dl_phdr_info const& info) {
    if (latest->modules_ != nullptr && latest->modules_->added == info.dlpi_adds &&
        latest->modules_->removed == info.dlpi_subs) {
      return true;
    }
    if (fresh == nullptr) fresh = std::make_shared<Modules>(info.dlpi_adds, info.dlpi_subs);
    fresh->all.push_back(module_detail::describe(info));
    return false;
  });
  if (fresh != nullptr) latest->modules_ = std::move(fresh);
  return *latest;
}

MULTIPROCESSING_INLINE Module const* ModuleTable::find(std::uint64_t identity) const noexcept {
  if (modules_ == nullptr) return nullptr;
  auto const& all = modules_->all;
  auto const found = std::find_if(
      all.begin(), all.end(), [&](Module const& module) { return module.identity == identity; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace multiprocessing::os
