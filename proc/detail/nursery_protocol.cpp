#include "proc/detail/nursery_protocol.hpp"

namespace procpool::proc::detail {
namespace {

template <typename T>
void put_all(Bytes& out, const std::vector<T>& values) {
  put_block(out, std::as_bytes(std::span{values}));
}

template <typename T>
std::vector<T> take_all(Reader& in) {
  return ipc::Codec<std::vector<T>>::decode(in.take_block());
}

}  // namespace

Bytes encode(const WorkerSetup& setup) {
  Bytes out;
  put_text(out, setup.name);
  put(out, setup.nice);
  put_all(out, setup.cpus);
  put(out, setup.most_tasks);
  put(out, setup.most_resident);
  put(out, setup.initializer);
  put_all(out, setup.initializer_arguments);
  put_all(out, setup.exceptions);
  return out;
}

WorkerSetup decode_setup(View bytes) {
  Reader in{bytes};
  WorkerSetup setup;
  setup.name = in.take_text();
  setup.nice = in.take<int>();
  setup.cpus = take_all<int>(in);
  setup.most_tasks = in.take<std::uint64_t>();
  setup.most_resident = in.take<std::uint64_t>();
  setup.initializer = in.take<ImageOffset>();
  setup.initializer_arguments = take_all<std::byte>(in);
  setup.exceptions = take_all<ImageOffset>(in);
  return setup;
}

Bytes encode(const WorkerNews& news) {
  Bytes out;
  put(out, news.kind);
  put(out, news.who);
  put(out, news.pid);
  put(out, news.status.code().value_or(-1));
  put(out, news.status.signal().value_or(0));
  put(out, std::uint8_t{news.status.core_dumped()});
  put_text(out, news.text);
  return out;
}

WorkerNews decode_news(View bytes) {
  Reader in{bytes};
  WorkerNews news{};
  news.kind = in.take<WorkerNews::Kind>();
  news.who = in.take<StartRequest>();
  news.pid = in.take<pid_t>();
  const auto code = in.take<int>();
  const auto signal = in.take<int>();
  const bool dumped = in.take<std::uint8_t>() != 0;
  news.status = signal != 0 ? ExitStatus::signaled(signal, dumped ? ExitStatus::Core::dumped
                                                                  : ExitStatus::Core::none)
                            : ExitStatus::exited(code);
  news.text = in.take_text();
  return news;
}

}  // namespace procpool::proc::detail
