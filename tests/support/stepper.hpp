// SPDX-License-Identifier: BSL-1.0
// Runs a process instruction by instruction, so that it can be killed at any of them.
#pragma once

#include <sched.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>

namespace support {

/// All calls from the thread that made it.
class Stepper {
 public:
  /// Stops `pid`, a descendant, wherever it is.
  explicit Stepper(pid_t pid) : pid_(pid) {
    if (::ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL) != 0) {
      throw std::runtime_error("this system does not let us trace");
    }
    ::ptrace(PTRACE_INTERRUPT, pid, 0, 0);
    int status = 0;
    ::waitpid(pid, &status, __WALL);
    if (!WIFSTOPPED(status)) pid_ = -1;
  }
  Stepper(Stepper const&) = delete;
  Stepper& operator=(Stepper const&) = delete;
  ~Stepper() { kill(); }

  /// Runs up to `count` instructions. Returns how many it has run: fewer when the process has
  /// ended or gone to sleep in the kernel.
  long step(long count) {
    share_processor();
    for (long done = 0; done < count; ++done) {
      if (pid_ < 0) return done;
      ::ptrace(PTRACE_SINGLESTEP, pid_, 0, signal_);
      int status = 0;
      if (!wait_while_running(status)) return done;
      if (!note(status)) return done;
      if (signal_ == 0) {
        run_over_what_is_one_step();
      } else {
        place_ = 0;
      }
    }
    return count;
  }

  /// Whether the next instruction is a system call.
  bool is_at_system_call() {
#ifdef __x86_64__
    long const here = pid_ < 0 ? 0 : place_ != 0 ? place_ : place();
    auto const [known, is_new] = calls_.try_emplace(here, false);
    constexpr long kSyscall = 0x050f;
    if (is_new && here != 0) {
      known->second = (::ptrace(PTRACE_PEEKTEXT, pid_, here, nullptr) & 0xffff) == kSyscall;
    }
    return known->second;
#else
    return true;
#endif
  }

  void kill() {
    leave_processor();
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    do {
      ::waitpid(pid_, &status, __WALL);
    } while (WIFSTOPPED(status));
    pid_ = -1;
  }

 private:
  /// A step hands over to the process and back: on one processor in a third of the time that two
  /// take to wake each other.
  void share_processor() {
    if (shares_processor_ || pid_ < 0) return;
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &here);
    shares_processor_ = ::sched_getaffinity(0, sizeof processors_, &processors_) == 0 &&
                        ::sched_setaffinity(0, sizeof here, &here) == 0;
    if (shares_processor_) ::sched_setaffinity(pid_, sizeof here, &here);
  }
  void leave_processor() {
    if (std::exchange(shares_processor_, false)) {
      ::sched_setaffinity(0, sizeof processors_, &processors_);
    }
  }

  /// False: the process has ended.
  bool note(int status) {
    if (!WIFSTOPPED(status)) {
      pid_ = -1;
      return false;
    }
    signal_ = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
    return true;
  }

#ifdef __x86_64__
  long place() const { return ::ptrace(PTRACE_PEEKUSER, pid_, offsetof(user, regs.rip), nullptr); }

  void run_over_what_is_one_step() {
    long const before = std::exchange(place_, place());
    if (place_ == before) {
      run_over_repetition();
    } else if (before != 0 && is_in_vdso(place_) && !is_in_vdso(before)) {
      run_over_vdso();
    }
  }

  /// An instruction that copies, or sets, a block of memory is a step for each byte. Where one has
  /// begun the process runs to its end.
  void run_over_repetition() {
    auto const code = static_cast<unsigned long>(::ptrace(PTRACE_PEEKTEXT, pid_, place_, nullptr));
    constexpr unsigned long kRepeat = 0xf3;
    constexpr unsigned long kWide = 0x48;
    bool const is_wide = (code >> 8 & 0xff) == kWide;
    auto const operation = (is_wide ? code >> 16 : code >> 8) & 0xfe;
    bool const is_movs_or_stos = operation == 0xa4 || operation == 0xaa;
    if ((code & 0xff) == kRepeat && is_movs_or_stos) run_to(place_ + (is_wide ? 3 : 2));
  }

  /// The kernel's code that reads the clock begins anew whenever the clock ticks meanwhile: step by
  /// step, on a slow machine, for ever. It changes nothing; where it was called the process runs
  /// until it returns.
  void run_over_vdso() {
    long const stack = ::ptrace(PTRACE_PEEKUSER, pid_, offsetof(user, regs.rsp), nullptr);
    run_to(::ptrace(PTRACE_PEEKDATA, pid_, stack, nullptr));
  }
  bool is_in_vdso(long place) {
    if (vdso_end_ == 0) find_vdso();
    return place >= vdso_begin_ && place < vdso_end_;
  }
  void find_vdso() {
    std::ifstream maps("/proc/" + std::to_string(pid_) + "/maps");
    vdso_end_ = 1;  // looked for
    for (std::string line; std::getline(maps, line);) {
      if (line.find("[vdso]") == std::string::npos) continue;
      std::size_t dash = 0;
      vdso_begin_ = std::stol(line, &dash, 16);
      vdso_end_ = std::stol(line.substr(dash + 1), nullptr, 16);
    }
  }

  /// Lets it run until its next instruction is at `end`.
  void run_to(long end) {
    errno = 0;
    long const text = ::ptrace(PTRACE_PEEKTEXT, pid_, end, nullptr);
    if (errno != 0) return;
    constexpr long kBreakpoint = 0xcc;
    ::ptrace(PTRACE_POKETEXT, pid_, end, (text & ~0xffL) | kBreakpoint);
    ::ptrace(PTRACE_CONT, pid_, 0, 0);
    int status = 0;
    ::waitpid(pid_, &status, __WALL);
    if (!note(status)) return;
    ::ptrace(PTRACE_POKETEXT, pid_, end, text);
    if (place() == end + 1) ::ptrace(PTRACE_POKEUSER, pid_, offsetof(user, regs.rip), end);
    place_ = place();
  }
#else
  void run_over_what_is_one_step() {}
#endif

  /// False when the process sleeps in a system call instead of taking the step.
  bool wait_while_running(int& status) const {
    constexpr int kLooksBeforeAsking = 2000;
    for (int looks = 1;; ++looks) {
      if (::waitpid(pid_, &status, __WALL | WNOHANG) == pid_) return true;
      if (looks % kLooksBeforeAsking == 0 && sleeps()) {
        return ::waitpid(pid_, &status, __WALL | WNOHANG) == pid_;
      }
      std::this_thread::yield();
    }
  }
  bool sleeps() const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
    std::string stat;
    std::getline(file, stat);
    return stat.compare(stat.rfind(')') + 2, 1, "S") == 0;
  }

  pid_t pid_;  // -1: has ended
  int signal_ = 0;
  long place_ = 0;  // of the next instruction; 0: not known
  bool shares_processor_ = false;
  cpu_set_t processors_{};  // of the calling thread, elsewhere
  long vdso_begin_ = 0;
  long vdso_end_ = 0;                     // 0: not looked for yet
  std::unordered_map<long, bool> calls_;  // instructions, and whether they are system calls
};

/// Calls `attempt(n)` for n = first, first + stride, .. until it returns false: the process was
/// through before its n-th instruction.
template <class Attempt>
long for_every_step(long first, long stride, Attempt const& attempt) {
  long attempts = 0;
  for (long n = first; attempt(n); n += stride) ++attempts;
  return attempts;
}

}  // namespace support
