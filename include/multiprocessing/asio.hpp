// SPDX-License-Identifier: BSL-1.0
// Receiving and joining in coroutines of Boost.Asio: co_await in place of a call that blocks.
//
// For Boost.Asio only, not for the one without Boost. The umbrella header does not bring it. It
// declares nothing where Asio has no coroutines (BOOST_ASIO_HAS_CO_AWAIT), as with clang++ 14.
#pragma once

#include <boost/asio/detail/config.hpp>

#ifdef BOOST_ASIO_HAS_CO_AWAIT

#include <chrono>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <multiprocessing/os/epoll.hpp>
#include <multiprocessing/pipe.hpp>
#include <multiprocessing/process.hpp>

namespace multiprocessing {

namespace asio_detail {

/// Waits for a descriptor without having it registered: two coroutines may wait for the same, and
/// Asio, which makes what it is given non-blocking and closes it, never meets the library's own.
class Watch {
 public:
  /// Throws: std::system_error, boost::system::system_error.
  Watch(boost::asio::any_io_executor const& executor, int fd) : descriptor_(executor) {
    set_.add(fd);
    descriptor_.assign(set_.fd());
  }
  Watch(Watch const&) = delete;
  Watch& operator=(Watch const&) = delete;
  // Not by closing: a child that was forked meanwhile has a copy, which would keep it registered.
  ~Watch() { descriptor_.release(); }

  auto readable() {
    return descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                                  boost::asio::use_awaitable);
  }

 private:
  os::ReadableSet set_;
  boost::asio::posix::stream_descriptor descriptor_;  // of set_, which outlives it
};

/// Attempts until there is something: an attempt that finds nothing arms the descriptor again.
template <class Handle, class Attempt>
auto take(Handle handle, Attempt attempt)
    -> boost::asio::awaitable<typename std::invoke_result_t<Attempt, Handle const&>::value_type> {
  auto taken = attempt(handle);
  if (!taken) {
    auto const executor = co_await boost::asio::this_coro::executor;
    Watch watch(executor, handle.fileno());
    while (!taken) {
      co_await watch.readable();
      taken = attempt(handle);
    }
  }
  co_return std::move(*taken);
}

template <class Handle>
concept Gettable = requires(Handle const& handle) {
  *handle.try_get();
  handle.fileno();
};

}  // namespace asio_detail

// All of these. Blocks: never the thread, only the coroutine; a message that is there is taken
// without a system call, and without giving way to other handlers. Threads: any number of
// coroutines and threads may wait for the same. Fork: start processes from a thread that runs no
// other handler; a child must not use its parent's io_context. Throws: besides what is named,
// std::system_error where there is no descriptor to be had; and when it is cancelled,
// boost::system::system_error (operation_aborted): nothing was taken then, and the handle is as
// before. So it is when the io_context is stopped or destroyed. EDEADLK is not
// thrown: other coroutines of this thread may end the wait. close() of the handle
// in this process does not end a wait: cancel it. Python: has no such thing

/// What connection.recv() returns. Peer death: as there: what was sent, then EOFError.
/// Throws: what recv() does.
template <class Sent, class Received>
[[nodiscard]] boost::asio::awaitable<Received> async_recv(Connection<Sent, Received> connection) {
  return asio_detail::take(std::move(connection), [](auto const& it) { return it.try_recv(); });
}
/// Of an untyped pipe: what connection.recv<T>() returns.
template <class T, class Sent>
[[nodiscard]] boost::asio::awaitable<T> async_recv(Connection<Sent, Any> connection) {
  return asio_detail::take(std::move(connection),
                           [](auto const& it) { return it.template try_recv<T>(); });
}

/// What get() of a Queue, a JoinableQueue or a Receiver returns. Peer death: as there, but that a
/// queue which no other process has is waited for. Throws: what get() does: ShutDown, EOFError of a
/// Receiver.
template <asio_detail::Gettable Handle>
[[nodiscard]] auto async_get(Handle handle) {
  return asio_detail::take(std::move(handle), [](auto const& it) { return it.try_get(); });
}

/// Returns when the process has ended. REQUIRES: `process` lives, and is not moved, until then.
/// Peer death: is what it waits for. Throws: what join() does.
[[nodiscard]] inline boost::asio::awaitable<void> async_join(Process& process) {
  constexpr std::chrono::seconds kNow{0};
  if (process.join_for(kNow)) co_return;
  auto const executor = co_await boost::asio::this_coro::executor;
  asio_detail::Watch watch(executor, process.sentinel());
  while (!process.join_for(kNow)) co_await watch.readable();
}

}  // namespace multiprocessing

#endif  // BOOST_ASIO_HAS_CO_AWAIT
