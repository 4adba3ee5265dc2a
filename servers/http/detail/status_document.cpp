#include "servers/http/detail/status_document.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>

#include "servers/http/detail/process_usage.hpp"

namespace procpool::http {
namespace {

// Clocks may be set back.
std::time_t seconds_between(std::time_t before, std::time_t now) {
  return std::max<std::time_t>(0, now - before);
}

double thousandths(double number) {
  return std::round(number * 1000) / 1000;
}

StatusDocument text_or_null(const std::string& text) {
  return text.empty() ? StatusDocument{} : StatusDocument(text);
}

StatusDocument time_or_null(std::time_t time, std::time_t shown) {
  return time == 0 ? StatusDocument{} : StatusDocument(shown);
}

double seconds_of(std::chrono::nanoseconds time) {
  return static_cast<double>(time.count()) / 1e9;
}

StatusDocument latency_of(const proc::LatencyCounts& latency) {
  const auto quantile = [&](double q) {
    const auto time = latency.quantile(q);
    return time ? StatusDocument(seconds_of(*time)) : StatusDocument{};
  };
  StatusDocument buckets = StatusDocument::object();
  for (std::size_t octave = 0; octave < proc::LatencyCounts::kOctaves; ++octave) {
    if (const auto count = latency.count_of_octave(octave); count != 0)
      buckets[name_of_octave(octave)] = count;
  }
  return {{"count", latency.count()},      {"sum_seconds", seconds_of(latency.sum)},
          {"p50_seconds", quantile(0.50)}, {"p90_seconds", quantile(0.90)},
          {"p99_seconds", quantile(0.99)}, {"buckets", std::move(buckets)}};
}

StatusDocument deaths_of(const proc::ScoreboardView& view, std::time_t now) {
  StatusDocument deaths = StatusDocument::array();
  for (const auto& death : view.deaths) {
    deaths.push_back({{"unix", death.time},
                      {"age_seconds", seconds_between(death.time, now)},
                      {"pid", death.pid},
                      {"cause", death.cause}});
  }
  return deaths;
}

StatusDocument is_ok_or_null(const std::string& result) {
  return result.empty() ? StatusDocument{} : StatusDocument(result == "ok");
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
          {"last_reload_ok", is_ok_or_null(view.reload_result)},
          {"last_reload_result", text_or_null(view.reload_result)},
          {"restarts", view.restarts},
          {"last_restarts", deaths_of(view, now)},
          {"requests", view.requests},
          {"bytes", view.bytes},
          {"latency", latency_of(view.latency)}};
}

StatusDocument worker_of(const proc::WorkerView& worker, std::time_t now, CpuMeter& meter) {
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
          {"cpu_ratio",
           usage ? StatusDocument(thousandths(meter.ratio(worker.pid, *usage))) : StatusDocument{}},
          {"latency", latency_of(worker.latency)},
          {"last_request", text_or_null(worker.doing)},
          {"last_client", text_or_null(worker.client)}};
}

}  // namespace

StatusDocument make_status_document(const proc::ScoreboardView& view, std::time_t now,
                                    pid_t answered_by, CpuMeter& meter) {
  StatusDocument workers = StatusDocument::array();
  meter.look();
  for (const proc::WorkerView& worker : view.workers)
    workers.push_back(worker_of(worker, now, meter));
  return {{"now_unix", now},
          {"answered_by", answered_by},
          {"master", master_of(view, now)},
          {"workers", std::move(workers)}};
}

std::string name_of_octave(std::size_t octave) {
  if (octave + 1 == proc::LatencyCounts::kOctaves) return "+Inf";
  std::array<char, 32> text;
  const double bound = seconds_of(proc::LatencyCounts::upper_bound_of_octave(octave));
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), bound, std::chars_format::fixed).ptr;
  return {text.data(), end};
}

}  // namespace procpool::http
