#include "servers/http/detail/status_document.hpp"

#include <algorithm>
#include <string>

#include "servers/http/detail/process_usage.hpp"

namespace procpool::http {
namespace {

// Clocks may be set back.
std::time_t seconds_between(std::time_t before, std::time_t now) {
  return std::max<std::time_t>(0, now - before);
}

StatusDocument text_or_null(const std::string& text) {
  return text.empty() ? StatusDocument{} : StatusDocument(text);
}

StatusDocument time_or_null(std::time_t time, std::time_t shown) {
  return time == 0 ? StatusDocument{} : StatusDocument(shown);
}

StatusDocument master_of(const proc::ScoreboardView& view, std::time_t now) {
  return {{"pid", view.master},
          {"generation", view.generation},
          {"started_unix", view.started},
          {"uptime_seconds", seconds_between(view.started, now)},
          {"reloads", view.reloads},
          {"last_reload_unix", time_or_null(view.last_reload, view.last_reload)},
          {"last_reload_age_seconds",
           time_or_null(view.last_reload, seconds_between(view.last_reload, now))},
          {"last_reload_result", text_or_null(view.reload_result)},
          {"restarts", view.restarts},
          {"last_death", text_or_null(view.last_death)},
          {"requests", view.requests},
          {"bytes", view.bytes}};
}

StatusDocument worker_of(const proc::WorkerView& worker, std::time_t now) {
  const auto usage = usage_of(worker.pid);
  return {{"slot", worker.slot},
          {"pid", worker.pid},
          {"generation", worker.generation},
          {"state", proc::name_of(worker.state)},
          {"busy", worker.busy},
          {"started_unix", worker.started},
          {"uptime_seconds", seconds_between(worker.started, now)},
          {"connections", worker.connections},
          {"accepted", worker.accepted},
          {"requests", worker.requests},
          {"bytes", worker.bytes},
          {"rss_bytes", usage ? StatusDocument(usage->resident_bytes) : StatusDocument{}},
          {"cpu_seconds", usage ? StatusDocument(usage->cpu_seconds) : StatusDocument{}},
          {"last_request", text_or_null(worker.doing)},
          {"last_client", text_or_null(worker.client)}};
}

}  // namespace

StatusDocument make_status_document(const proc::ScoreboardView& view, std::time_t now,
                                    pid_t answered_by) {
  StatusDocument workers = StatusDocument::array();
  for (const proc::WorkerView& worker : view.workers) workers.push_back(worker_of(worker, now));
  return {{"now_unix", now},
          {"answered_by", answered_by},
          {"master", master_of(view, now)},
          {"workers", std::move(workers)}};
}

}  // namespace procpool::http
