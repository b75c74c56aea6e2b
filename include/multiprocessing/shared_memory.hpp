// SPDX-License-Identifier: BSL-1.0
// Plain bytes that processes share: with a name, for unrelated programs, or without one.
//
//   SharedMemory({.name = "x", .create = true, .size = 4096})     SharedMemory({.name = "x"})
//          |                                                             |
//          +------> /dev/shm/x: stays until somebody calls unlink() <----+
//
//   SharedMemory({.create = true, .size = 4096}) ---- in a message, or as an argument ---->
//          |                                                             |
//          +------> memory without a name: goes with the last that has it
//
//   Failure   who is killed while it makes one leaves nothing. A name stays as long as Python's:
//             no process of this library's removes it behind anybody's back.
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <concepts>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/repr.hpp>
#include <multiprocessing/launch/log.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/mapping.hpp>
#include <multiprocessing/os/named_memory.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/value.hpp>
#include <multiprocessing/wire/sent_fd.hpp>

namespace multiprocessing {

class SharedMemoryManager;

/// Python: the arguments of shared_memory.SharedMemory.
struct SharedMemoryOptions {
  /// Without slashes: "x" is what shm_open(3) calls "/x". Empty: none.
  std::string name = {};
  /// Makes it; otherwise it has to be there.
  bool create = false;
  /// In bytes; not looked at unless it is made.
  std::size_t size = 0;
};

namespace shared_memory_detail {

/// Names that were given, and perhaps taken away again, by this process or another.
/// Threads: external synchronization.
class Names {
 public:
  struct Given {
    std::string name;
    os::FileIdentity file;

    bool is_there() const noexcept { return os::NamedMemoryPath(name).file() == file; }
  };

  /// Forgets those that have gone, now and then. Throws: std::bad_alloc.
  void add(std::string const& name, os::FileIdentity file);
  void remove(os::FileIdentity file) noexcept;
  /// All; none are left here.
  std::vector<Given> take() noexcept { return std::exchange(all_, {}); }

 private:
  static constexpr std::size_t kLeastToLookAt = 64;  // a look is a system call a name

  std::vector<Given> all_;
  std::size_t next_look_ = kLeastToLookAt;
};

/// What has been made with a name in this process, and is told of at its end when it is left.
/// Threads: safe.
class LeftBehind {
 public:
  /// Made anew in a forked child: the mutex may be locked there. From the first time on the end of
  /// the process is told. Throws: std::bad_alloc.
  static LeftBehind& of_this_process();

  /// Throws: std::bad_alloc.
  void add(std::string const& name, os::FileIdentity file);
  void remove(os::FileIdentity file) noexcept;

 private:
  std::vector<Names::Given> take() noexcept;
  void report() noexcept;

  pid_t const maker_ = os::this_pid();
  std::mutex mutex_;
  Names made_;  // guarded by mutex_
};

/// Takes the name away. 0, or why it is still there; ENOENT: it has gone, or is another file's.
/// Needs no memory.
int try_unlink(std::string const& name, os::FileIdentity file) noexcept;

/// What all copies of a SharedMemory in a process have.
struct Mapped {
  Mapped(os::Fd file, std::size_t size) : fd(std::move(file)), mapping(fd, size) {}

  os::Fd const fd;
  os::Mapping mapping;
};

/// Throws: std::invalid_argument, std::system_error (filename_too_long).
void require_name(std::string const& name);

}  // namespace shared_memory_detail

/// Bytes that processes share, as many as were asked for, zero at first; this handle's, or, after
/// a copy, that of several. A copy is the same memory, also in a process that is started with it,
/// or receives it; one with a name goes as bytes, too (dumps()).
/// Threads: distinct bytes safe; close(), resize() and remap(), which unmap, by external
/// synchronization. Processes: all members safe. Peer death: nothing of it is lost.
/// Python: multiprocessing.shared_memory.SharedMemory. Differs: without a name it has none, and
/// leaves nothing behind; attaching never leads to the name's removal; memory that the machine has
/// not is std::bad_alloc, not SIGBUS later; resize().
class SharedMemory {
 public:
  /// Makes it (mode 0600), or attaches to what has the name.
  /// Throws: std::invalid_argument for size 0, no name to attach to, and names with a NUL or a
  /// slash; std::system_error (std::errc::file_exists, no_such_file_or_directory, ..);
  /// std::bad_alloc; Error for a file without a size yet, as programs that are no users of this
  /// library make.
  explicit SharedMemory(SharedMemoryOptions options) : SharedMemory(options, [](auto) {}) {}

  /// The same; when it makes it, calls `fill(buf())` before anybody can attach, who then finds it
  /// filled. Throws: what fill does, and nothing is left.
  template <std::invocable<std::span<std::byte>> Fill>
  SharedMemory(SharedMemoryOptions options, Fill const& fill)
      : name_(std::move(options.name)), maker_(options.create ? os::this_pid() : 0) {
    shared_memory_detail::require_name(name_);
    if (options.create) {
      make(options.size);
      fill(buf());
      publish();
    } else {
      attach();
    }
  }

  /// Empty: it has none.
  std::string const& name() const noexcept { return name_; }
  /// Of buf(), in bytes: exact, for all that attach. 0 once it is closed.
  std::size_t size() const noexcept { return mapped_ == nullptr ? 0 : mapped_->mapping.size(); }

  /// The bytes, as long as this handle or a copy of it in this process is there and not closed;
  /// until resize() or remap(). Empty once it is closed.
  std::span<std::byte> buf() const noexcept;
  /// The same as T's, as many as fit.
  template <class T>
  std::span<T> as() const noexcept {
    value_detail::require_shared_state<T>();
    return {reinterpret_cast<T*>(buf().data()), size() / sizeof(T)};
  }

  /// This handle does without. The memory is unmapped with the last of this process.
  void close() noexcept { mapped_ = nullptr; }

  /// Takes the name away: nobody can attach any more; who has it keeps it. Without a name it does
  /// nothing. Blocks: while another process unlinks the same name, one second at most. Throws:
  /// std::system_error (no_such_file_or_directory) when the name has gone, or is another one's by
  /// now.
  void unlink() const;

  /// Makes it larger; what is new is zero. The others see that by remap(), and in attaching. Spans
  /// of buf() are over, in all copies of this process. For the process that has made it.
  /// Throws: std::invalid_argument for a smaller size, which would take memory from those that have
  /// it mapped; std::logic_error for who has not made it, or has closed it; std::bad_alloc, and
  /// nothing has changed.
  void resize(std::size_t size);

  /// Maps what whoever has made it has added since; whether there was any. Spans of buf() are over
  /// then, in all copies of this process. Throws: std::logic_error when it is closed;
  /// std::system_error.
  bool remap() const;

  /// Of the file that the memory is; -1 once it is closed.
  int fileno() const noexcept { return mapped_ == nullptr ? -1 : mapped_->fd.get(); }

  /// Whether both are the same memory, however they came by it.
  friend bool operator==(SharedMemory const& a, SharedMemory const& b) noexcept {
    return a.file_ == b.file_;
  }

  /// For the wire.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    encoder(name_);
    if (!name_.empty()) {
      encoder(file_.device);
      encoder(file_.number);
      return;
    }
    encoder.parcel("a SharedMemory without a name");  // first: throws where there is none
    require_open("a SharedMemory that is sent");
    wire::save_fd(encoder, mapped_->fd.get());
  }
  template <class Decoder>
  static SharedMemory decode_from(Decoder& decoder) {
    std::string name;
    decoder(name);
    if (name.empty()) return SharedMemory(wire::read_fd(decoder));
    os::FileIdentity sent{};
    decoder(sent.device);
    decoder(sent.number);
    SharedMemory memory(SharedMemoryOptions{.name = std::move(name)});
    if (memory.file_ != sent) {  // another one has the name by now
      os::throw_error(ENOENT, "SharedMemory", memory.name_);
    }
    return memory;
  }

 private:
  /// One without a name that has arrived.
  explicit SharedMemory(os::Fd fd) { map(std::move(fd)); }

  void make(std::size_t size);
  void publish() const;

  void attach();

  /// What others have made may have no pages yet: so a machine without memory is told here.
  static void back(os::Fd const& fd, std::size_t size);

  void map(os::Fd fd);

  friend SharedMemoryManager;

  void require_open(char const* call) const;

  std::string name_;
  pid_t maker_ = 0;  // 0: somebody else
  os::FileIdentity file_{};
  std::shared_ptr<shared_memory_detail::Mapped> mapped_;  // null: closed
};

}  // namespace multiprocessing

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/shared_memory.ipp>
#endif
