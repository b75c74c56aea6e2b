// SPDX-License-Identifier: BSL-1.0
// map over the elements of a shared array where they are: neither copied there, nor back.
//
// A job like that of any map, but without input and results. Its callable is the name of a block, a
// message that is written once: the function, and a handle of the elements.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <type_traits>

#include <multiprocessing/base/scope_guard.hpp>
#include <multiprocessing/channel/envelope.hpp>
#include <multiprocessing/channel/message.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/callable.hpp>
#include <multiprocessing/wire/code_pointer.hpp>
#include <multiprocessing/wire/parcel.hpp>
#include <multiprocessing/wire/refusal.hpp>
#include <multiprocessing/work/chunk_context.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/job.hpp>
#include <multiprocessing/work/map.hpp>
#include <multiprocessing/work/task_context.hpp>

namespace multiprocessing::work {

/// A handle of elements that a copy of it has, too. `Items::SharedElements` is what is sent of it.
template <class Items>
concept SharesElements = requires {
  typename std::remove_cvref_t<Items>::SharedElements;
};
template <class Items>
using SharedElementsOf = typename std::remove_cvref_t<Items>::SharedElements;

/// Whether `f` insists on changing them: it takes `T&`, and nothing else would do.
template <class F, class Items>
inline constexpr bool kInPlace = false;
template <class F, SharesElements Items>
inline constexpr bool kInPlace<F, Items> =
    std::is_invocable_v<F&, typename SharedElementsOf<Items>::value_type&> &&
    !std::is_invocable_v<F&, typename SharedElementsOf<Items>::value_type>;

/// Does not compile where a function insists on elements, and would get copies of them.
template <class F, class Items>
constexpr void require_copies() {
  static_assert(!kInPlace<F, Items>,
                "multiprocessing: only Pool::map changes the elements of an array in place; here "
                "the function gets copies, so it has to take `T` or `T const&`");
}

namespace in_place_detail {

/// Where the message is that all chunks read.
struct Message {
  std::uint64_t id;
  std::uint64_t size;
};

template <class F, class Elements>
void run_chunk(ChunkContext const& context) {
  Message message;
  std::memcpy(&message, context.segment.data(context.job.callable.offset), sizeof message);
  auto const block = shm::Arena::block_of(message.id);
  auto bytes = channel::bytes_in(block, message.size);
  auto const parcel = channel::enclosed_in(block);
  F f = wire::decode<F>(bytes, parcel, &context.modules);
  auto const elements = wire::decode<Elements>(bytes, parcel, &context.modules);
  // As ChunkContext::end_if_forked() after each. But where a compiler sees that f calls nothing
  // that could fork it needs not look again, and may have the loop work on several elements at
  // once.
  bool const* const is_first = context.fork_detector.mark_of_the_first();
  auto* const last = elements.data() + context.end_item();
  for (auto* each = elements.data() + context.first_item(); each != last; ++each) {
    std::invoke(f, *each);
    if (!*is_first) [[unlikely]]
      os::exit_now(0);
  }
}

}  // namespace in_place_detail

/// f(element) for every element. REQUIRES: kInPlace. What Pool::map promises is said there.
template <class F, class Elements>
void map_in_place(Crew& crew, char const* call, std::optional<std::int64_t> chunksize, F const& f,
                  Elements const& elements) {
  wire::require_sendable<F>();
  static_assert(std::is_void_v<std::invoke_result_t<F&, typename Elements::value_type&>>,
                "multiprocessing: a function that takes `T&` of an array changes its elements in "
                "place, and has to return nothing; for results let it take `T` or `T const&`");
  crew.require_open(call);
  JobSizes sizes;
  sizes.items = elements.size();
  sizes.chunk_size = map_detail::chunk_size_for(call, chunksize, sizes.items, crew.workers());
  if (sizes.items == 0) return;

  channel::Scratch scratch;
  wire::Parcel parcel;
  wire::encode(scratch.bytes(), f, parcel);
  wire::encode(scratch.bytes(), elements, parcel);
  auto const enclosed = channel::enclose(scratch.bytes(), parcel);
  // The pool's, so that it is there as long as any worker may look for it.
  auto& tasks = crew.board().tasks;
  std::atomic<std::uint64_t> named{enclosed.lease->id()};
  shm::Heap::instance().arena().give(enclosed.lease->block(), tasks.anchor);
  base::ScopeGuard const give_up([&] {
    if (!crew.is_over()) give_up_block(tasks, named);  // else it goes with the anchor
  });

  in_place_detail::Message const message{enclosed.lease->id(), scratch.bytes().size()};
  wire::Bytes callable(sizeof message);
  std::memcpy(callable.data(), &message, sizeof message);
  Job job(crew, call, sizes, wire::place_of(&in_place_detail::run_chunk<F, Elements>), callable);
  job.run();
}

}  // namespace multiprocessing::work
