#include "servers/http/cgi_site.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "servers/http/basic_authentication.hpp"
#include "servers/http/beneath.hpp"
#include "servers/http/cgi_environment.hpp"
#include "servers/http/cgi_head.hpp"
#include "servers/http/spooled_body.hpp"
#include "servers/http/target.hpp"

namespace procpool::http {
namespace {

constexpr std::size_t kMostHead = std::size_t{32} << 10;
constexpr std::size_t kPiece = std::size_t{32} << 10;

// The program lives as long as this, which the page owns.
net::Generator<std::string> output_of(std::unique_ptr<CgiProgram> program, std::string piece,
                                      std::chrono::milliseconds timeout) {
  if (!piece.empty()) co_yield std::move(piece);
  for (;;) {
    piece.resize(kPiece);
    const std::size_t size = co_await program->read(piece, Deadline::in(timeout));
    if (size == 0) break;
    piece.resize(size);
    co_yield std::exchange(piece, {});
  }
  co_await program->expect_good_end();
}

bool has_body(const Request& request, Status status) noexcept {
  return request.method != Method::head && status != Status::no_content &&
         status != Status::not_modified;
}

class CgiResponder final : public Responder {
 public:
  CgiResponder(std::shared_ptr<CgiRunner> runner, CgiScript script, const std::string& headers)
      : runner_{std::move(runner)}, script_{std::move(script)}, headers_{headers} {}

  void write(std::string_view body) override { body_.write(body); }

  net::Task<PagePtr> respond(Exchange exchange) override {
    const bool has_input = exchange.request.body_framing != BodyFraming::none;
    auto program = runner_->start(
        {.file = script_.file,
         .environment = make_cgi_environment(
             exchange, script_, has_input ? std::optional{body_.size()} : std::nullopt),
         .input = has_input ? std::move(body_).file() : UniqueFd{}});
    if (!program) co_return fail(Status::service_unavailable, "Retry-After: 1\r\n");
    const Deadline deadline = Deadline::in(runner_->limits().timeout);
    std::optional<Status> failure;
    try {
      co_return co_await read_answer(std::move(program), exchange.request, deadline);
    } catch (const CgiTimeout& error) {
      runner_->report(error.what());
      failure = Status::gateway_timeout;
    } catch (const Error& error) {
      runner_->report(script_.file + ": " + error.what());
      failure = Status::bad_gateway;
    }
    co_return fail(*failure);
  }

 private:
  PagePtr fail(Status status, std::string_view fields = {}) const {
    return make_error_page(status, headers_ + std::string{fields});
  }

  net::Task<PagePtr> read_answer(std::unique_ptr<CgiProgram> program, const Request& request,
                                 Deadline deadline) {
    std::string output;
    const std::size_t size = co_await read_head(*program, output, deadline);
    CgiHead head = parse_cgi_head(std::string_view{output}.substr(0, size));
    output.erase(0, size);
    const bool is_sent = head.elsewhere.empty() && has_body(request, head.status);
    if (!is_sent) co_await run_to_end(*program, deadline);
    if (!head.elsewhere.empty()) {
      auto page = std::make_shared<Page>();
      page->elsewhere = std::move(head.elsewhere);
      co_return page;
    }
    head.fields.append(headers_);
    BodySource source{
        .owner = runner_,
        .pieces = output_of(std::move(program), std::move(output), runner_->limits().timeout),
        .length = head.content_length};
    co_return make_streamed_page(head.status, head.fields, std::move(source));
  }

  net::Task<std::size_t> read_head(CgiProgram& program, std::string& output, Deadline deadline) {
    std::array<char, 4096> buffer;
    for (;;) {
      const std::size_t got = co_await program.read(buffer, deadline);
      output.append(buffer.data(), got);
      if (const auto size = cgi_head_size(output)) co_return *size;
      if (output.size() > kMostHead) throw Error{"read", "its head", "is too large"};
      if (got > 0) continue;
      co_await program.expect_good_end();
      throw Error{"read", "its head", "it has ended before"};
    }
  }

  // So that it does what it would have done, but no longer than that takes.
  static net::Task<> run_to_end(CgiProgram& program, Deadline deadline) {
    std::array<char, 4096> buffer;
    try {
      while (co_await program.read(buffer, deadline) > 0) {
      }
    } catch (const CgiTimeout&) {
      co_return;
    }
    co_await program.expect_good_end();
  }

  std::shared_ptr<CgiRunner> runner_;
  CgiScript script_;
  const std::string& headers_;
  SpooledBody body_;
};

class CgiSite {
 public:
  CgiSite(const SiteSettings& settings, std::string_view prefix, std::shared_ptr<CgiRunner> runner)
      : settings_{settings},
        prefix_{prefix},
        runner_{std::move(runner)},
        folder_{::open(settings.cgi.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)} {
    if (!folder_.valid()) throw_errno("open", settings.cgi);
    if (!prefix_.ends_with('/')) prefix_.push_back('/');
    for (const std::string& header : settings.headers) headers_.append(header).append("\r\n");
    if (!settings.users.empty()) guard_.emplace(settings.users, settings.realm);
  }

  Reception receive(const Request& request) {
    if (guard_ && !guard_->admits(request))
      return {.page = make_error_page(Status::unauthorized, headers_ + guard_->challenge())};
    CgiScript script{.root = settings_.root};
    const Status status = find(request, script);
    if (status != Status::ok) return {.page = make_error_page(status, headers_)};
    if (guard_) script.user = parse_basic_credentials(*request.field("authorization"))->name;
    return {.responder = std::make_unique<CgiResponder>(runner_, std::move(script), headers_)};
  }

 private:
  Status find(const Request& request, CgiScript& script) const {
    std::string path{"/"};
    const ResolvedTarget target = resolve_target(request.path, path);
    if (target.status != Status::ok) return target.status;
    if (!path.starts_with(prefix_)) return Status::forbidden;  // the folder itself
    const std::string_view rest = std::string_view{path}.substr(prefix_.size());
    for (std::size_t end = 0; end != rest.npos;) {
      end = rest.find('/', end == 0 ? 0 : end + 1);
      const std::string name{rest.substr(0, end)};
      const Status status = look_at(name);
      if (status == Status::forbidden && end != rest.npos) continue;  // a folder
      if (status != Status::ok) return status;
      script.file = settings_.cgi + "/" + name;
      script.name = prefix_ + name;
      if (end != rest.npos) script.path_info = rest.substr(end);
      if (target.ends_with_slash) script.path_info.push_back('/');
      return Status::ok;
    }
    return Status::forbidden;
  }

  // Forbidden: it is a folder, or may not be executed.
  Status look_at(const std::string& name) const {
    if (name.empty() || name == ".") return Status::forbidden;
    if (is_hidden(name, settings_.dot_files)) return Status::not_found;
    const UniqueFd file =
        open_beneath(folder_.fd(), name, {.flags = O_PATH, .symlinks = settings_.symlinks});
    struct stat facts{};
    if (!file.valid() || ::fstat(file.fd(), &facts) < 0) return status_of_errno(errno);
    const bool may_run =
        S_ISREG(facts.st_mode) && ::faccessat(folder_.fd(), name.c_str(), X_OK, AT_EACCESS) == 0;
    return may_run ? Status::ok : Status::forbidden;
  }

  SiteSettings settings_;
  std::string prefix_;  // with its last '/'
  std::shared_ptr<CgiRunner> runner_;
  UniqueFd folder_;
  std::string headers_;  // lines, of every answer
  std::optional<Guard> guard_;
};

}  // namespace

Site make_cgi_site(const SiteSettings& settings, std::string_view prefix,
                   std::shared_ptr<CgiRunner> runner) {
  auto site = std::make_shared<CgiSite>(settings, prefix, std::move(runner));
  return [site](const Request& request) { return site->receive(request); };
}

}  // namespace procpool::http
