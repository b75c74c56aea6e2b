// SPDX-License-Identifier: BSL-1.0
// The bodies of shared_memory.hpp.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/repr.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/launch/log.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/mapping.hpp>
#include <multiprocessing/os/memfd.hpp>
#include <multiprocessing/os/memory.hpp>
#include <multiprocessing/os/named_memory.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/shared_memory.hpp>
#include <multiprocessing/value.hpp>
#include <multiprocessing/wire/sent_fd.hpp>

namespace multiprocessing {
namespace shared_memory_detail {

MULTIPROCESSING_INLINE void Names::add(std::string const& name, os::FileIdentity file) {
  if (all_.size() >= next_look_) {
    std::erase_if(all_, [](Given const& given) { return !given.is_there(); });
    next_look_ = std::max(kLeastToLookAt, 2 * all_.size());
  }
  all_.push_back({name, file});
}

MULTIPROCESSING_INLINE void Names::remove(os::FileIdentity file) noexcept {
  std::erase_if(all_, [&](Given const& given) { return given.file == file; });
}

MULTIPROCESSING_INLINE LeftBehind& LeftBehind::of_this_process() {
  static std::atomic<LeftBehind*> instance{nullptr};  // never freed: used at exit
  auto* current = instance.load();
  if (current != nullptr && current->maker_ == os::this_pid()) return *current;
  auto fresh = std::make_unique<LeftBehind>();
  if (!instance.compare_exchange_strong(current, fresh.get())) return *current;
  os::register_at_exit([] { of_this_process().report(); });
  return *fresh.release();
}

MULTIPROCESSING_INLINE void LeftBehind::add(std::string const& name, os::FileIdentity file) {
  std::lock_guard const guard(mutex_);
  made_.add(name, file);
}

MULTIPROCESSING_INLINE void LeftBehind::remove(os::FileIdentity file) noexcept {
  std::lock_guard const guard(mutex_);
  made_.remove(file);
}

MULTIPROCESSING_INLINE std::vector<Names::Given> LeftBehind::take() noexcept {
  std::lock_guard const guard(mutex_);
  return made_.take();
}

MULTIPROCESSING_INLINE void LeftBehind::report() noexcept {
  for (auto const& given : take()) {
    if (!given.is_there()) continue;
    try {
      launch::log(LogLevel::warning, "SharedMemory \"", base::escape(given.name),
                  "\" is left: nobody has unlinked it");
    } catch (std::exception const&) {  // it is not told
    }
  }
}

MULTIPROCESSING_INLINE int try_unlink(std::string const& name, os::FileIdentity file) noexcept {
  if (int const error = os::try_unlink_named_memory(name, file)) return error;
  try {
    LeftBehind::of_this_process().remove(file);
  } catch (std::bad_alloc const&) {  // then it is told of nothing
  }
  return 0;
}

MULTIPROCESSING_INLINE void require_name(std::string const& name) {
  auto const refuse = [&](char const* why) {
    throw std::invalid_argument("SharedMemory: the name \"" + base::escape(name) + "\" " + why);
  };
  if (name.find('\0') != std::string::npos) refuse("has a NUL in it");
  if (name.find('/') != std::string::npos) refuse("has a slash in it");
  if (name == "." || name == "..") refuse("is no name of a file");
  if (name.size() > NAME_MAX) os::throw_error(ENAMETOOLONG, "SharedMemory", name);
}

}  // namespace shared_memory_detail

MULTIPROCESSING_INLINE std::span<std::byte> SharedMemory::buf() const noexcept {
  if (mapped_ == nullptr) return {};
  return {mapped_->mapping.data(), mapped_->mapping.size()};
}

MULTIPROCESSING_INLINE void SharedMemory::unlink() const {
  if (name_.empty()) return;
  int const error = shared_memory_detail::try_unlink(name_, file_);
  if (error != 0) os::throw_error(error, "SharedMemory.unlink", name_);
}

MULTIPROCESSING_INLINE void SharedMemory::resize(std::size_t size) {
  if (maker_ != os::this_pid()) {
    throw std::logic_error("SharedMemory.resize: only who has made it, with create, may do that");
  }
  require_open("SharedMemory.resize");
  auto const there = os::file_size(mapped_->fd);
  if (size < there) {
    throw std::invalid_argument("SharedMemory.resize: " + std::to_string(size) +
                                " bytes are less than the " + std::to_string(there) +
                                " that it has, which others may have mapped");
  }
  if (size - there > os::available_memory()) throw std::bad_alloc();
  os::Mapping larger(mapped_->fd, size);
  if (size > there) os::grow(mapped_->fd, there, size);
  mapped_->mapping = std::move(larger);
}

MULTIPROCESSING_INLINE bool SharedMemory::remap() const {
  require_open("SharedMemory.remap");
  auto const size = os::file_size(mapped_->fd);
  if (size <= this->size()) return false;
  back(mapped_->fd, size);
  mapped_->mapping = os::Mapping(mapped_->fd, size);
  return true;
}

MULTIPROCESSING_INLINE void SharedMemory::make(std::size_t size) {
  if (size == 0) throw std::invalid_argument("SharedMemory: with create, it needs a size above 0");
  if (size > os::largest_file_size() || size > PTRDIFF_MAX) throw std::bad_alloc();
  if (!name_.empty()) {
    // Before the pages; who is first is told by give_name().
    if (os::NamedMemoryPath(name_).file()) os::throw_error(EEXIST, "SharedMemory", name_);
    return map(os::create_nameable_memory(name_, size));
  }
  os::Fd fd = os::create_memfd("multiprocessing-shared-memory");
  os::commit_pages(fd, 0, size);
  os::fix_size(fd, size);
  map(std::move(fd));
}

MULTIPROCESSING_INLINE void SharedMemory::publish() const {
  if (name_.empty()) return;
  os::give_name(mapped_->fd, name_);
  try {
    shared_memory_detail::LeftBehind::of_this_process().add(name_, file_);
  } catch (std::bad_alloc const&) {  // then it is told of nothing
  }
}

MULTIPROCESSING_INLINE void SharedMemory::attach() {
  if (name_.empty()) throw std::invalid_argument("SharedMemory: without create, it needs a name");
  os::Fd fd = os::open_named_memory(name_);
  back(fd, os::file_size(fd));
  map(std::move(fd));
}

MULTIPROCESSING_INLINE void SharedMemory::back(os::Fd const& fd, std::size_t size) {
  if (os::allocated_size(fd) < size) os::commit_pages(fd, 0, size);
}

MULTIPROCESSING_INLINE void SharedMemory::map(os::Fd fd) {
  auto const size = os::file_size(fd);
  if (size == 0) throw Error("SharedMemory: \"" + base::escape(name_) + "\" has no size yet");
  file_ = os::file_identity(fd.get()).value();
  mapped_ = std::make_shared<shared_memory_detail::Mapped>(std::move(fd), size);
}

MULTIPROCESSING_INLINE void SharedMemory::require_open(char const* call) const {
  if (mapped_ == nullptr) throw std::logic_error(std::string(call) + ": it has been closed");
}

}  // namespace multiprocessing
