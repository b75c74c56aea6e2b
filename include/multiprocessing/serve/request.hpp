// SPDX-License-Identifier: BSL-1.0
// A call of an object in the server: typed at both ends, bytes in between.
//
//   request   RequestHead: code, object | function | arguments ...
//   reply     ReplyKind | value, or ExceptionRecord
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include <multiprocessing/os/module.hpp>
#include <multiprocessing/serve/end_of_copy.hpp>
#include <multiprocessing/serve/object_table.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/code_pointer.hpp>
#include <multiprocessing/wire/exception.hpp>
#include <multiprocessing/wire/parcel.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing::serve {

/// Bytes, and the shared objects that go with them.
struct Message {
  wire::Bytes& bytes;
  wire::Parcel& parcel;

  template <class T>
  void write(T const& value) {
    wire::encode(bytes, value, parcel);
  }
};

/// What the code of a call sees in the server.
struct Request {
  ObjectTable& objects;
  os::ModuleTable const& modules;
  std::uint64_t object;
  std::span<std::byte const> rest;
  wire::Parcel const& parcel;
  Message reply;

  template <class T>
  T next() {
    return wire::decode<T>(rest, parcel, &modules);
  }
};

/// Does what the request says, and writes the value.
using Answer = void(Request& request);

struct RequestHead {
  wire::CodePlace code;  ///< of an Answer
  std::uint64_t object;
};
static_assert(std::is_trivially_copyable_v<RequestHead>);

enum class ReplyKind : std::uint8_t { Value, Exception };

/// `f(object, args...)`, while nobody else is at the object, if that is not thread-safe.
template <class T, class F, class... Args>
struct CallObject {
  using Result = std::remove_cvref_t<std::invoke_result_t<F&, T&, Args...>>;

  static void write(Message message, F const& f, Args const&... args) {
    message.write(f);
    (message.write(args), ...);
  }
  static void answer(Request& request) {
    auto const object = request.objects.at(request.object);
    auto& value = object->template as<T>();
    auto f = request.next<F>();
    std::tuple<Args...> args{request.next<Args>()...};
    auto const invoke = [&]() -> Result {
      std::unique_lock alone(object->lock(), std::defer_lock);
      if constexpr (!kIsThreadSafe<T>) alone.lock();
      EndOfCopy const end_copy;
      return std::apply(
          [&](Args&... each) -> Result { return std::invoke(f, value, std::move(each)...); }, args);
    };
    if constexpr (std::is_void_v<Result>) {
      invoke();
    } else {
      request.reply.write(invoke());
    }
  }
};

/// A token as it goes in a message.
struct TokenHandle {
  shm::Shared<Token> token;

  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    wire::save_handle(encoder, token, "an object of a Manager");
  }
  template <class Decoder>
  static TokenHandle decode_from(Decoder& decoder) {
    return {wire::read_handle<Token>(decoder)};
  }
};

/// A new T(args...); replies with its token.
template <class T, class... Args>
struct CreateObject {
  using Result = TokenHandle;

  static void write([[maybe_unused]] Message message, Args const&... args) {
    (message.write(args), ...);
  }
  static void answer(Request& request) {
    std::tuple<Args...> args{request.next<Args>()...};
    auto const make = [&] {
      EndOfCopy const end_copy;
      return std::apply([](Args&... each) { return std::make_shared<Held<T>>(std::move(each)...); },
                        args);
    };
    auto const token = request.objects.add(make());
    request.reply.write(TokenHandle{token});
  }
};

/// Where Code::answer is; looked up once. No guarded static, whose guard a fork in another thread
/// could leave locked. Throws: PicklingError, std::bad_alloc.
template <class Code>
wire::CodePlace const& place_of_answer() {
  static std::atomic<wire::CodePlace const*> known{nullptr};  // what it points to is never freed
  if (auto const* const place = known.load(std::memory_order_acquire)) return *place;
  auto fresh = std::make_unique<wire::CodePlace const>(wire::place_of(&Code::answer));
  wire::CodePlace const* expected = nullptr;
  // Pairs with the acquire above.
  if (!known.compare_exchange_strong(expected, fresh.get())) return *expected;
  return *fresh.release();
}

/// Writes a request. Throws: PicklingError, what the parts' own functions throw.
template <class Code, class... Parts>
void write_request(Message message, std::uint64_t object, Parts const&... parts) {
  RequestHead const head{place_of_answer<Code>(), object};
  auto const* const bytes = reinterpret_cast<std::byte const*>(&head);
  message.bytes.insert(message.bytes.end(), bytes, bytes + sizeof head);
  Code::write(message, parts...);
}

void begin_reply(Message reply, ReplyKind kind);
/// REQUIRES: called while an exception is handled, which is written.
void write_exception(Message reply);

/// Answers a request: with what it throws, if it does.
void answer(ObjectTable& objects, std::span<std::byte const> request, wire::Parcel const& parcel,
            Message reply) noexcept;

/// The value of a reply. Throws: what the call has thrown; std::bad_alloc for an empty one.
template <class Result>
Result read_reply(std::span<std::byte const> bytes, wire::Parcel const& parcel) {
  if (bytes.empty()) throw std::bad_alloc();
  auto const kind = static_cast<ReplyKind>(bytes[0]);
  bytes = bytes.subspan(1);
  if (kind == ReplyKind::Exception) {
    wire::throw_recorded(wire::decode<wire::ExceptionRecord>(bytes));
  }
  if constexpr (!std::is_void_v<Result>) return wire::decode<Result>(bytes, parcel);
}

}  // namespace multiprocessing::serve

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/serve/request.ipp>
#endif
